"""What units send on sticks, taken in by the same functions as what they send by link."""
