"""`voxpop bench`: what our parts cost beside what they could be replaced by, side by side on one machine. Ratios only."""
