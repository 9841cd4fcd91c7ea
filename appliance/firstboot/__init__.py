"""First boot of an appliance: who this unit is, a locked data partition, and the files that follow from the answers."""
