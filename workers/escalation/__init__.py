"""A second opinion on texts that the pack is unsure of, from a larger model: `voxpop escalate`."""
