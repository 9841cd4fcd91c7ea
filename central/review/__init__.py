"""The pages on which the centre's people see studies come in: who may look, the list, the study, the fleet."""
