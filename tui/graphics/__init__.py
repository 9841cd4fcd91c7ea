"""How pictures reach the terminal: sixel or kitty pixels where it has them, half-cells everywhere else."""
