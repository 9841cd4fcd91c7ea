"""What people at the centre tell this unit: taken in once, and acted on where the unit can act by itself."""
