"""A generator pack behind an address like OpenAI's: `voxpop serve`."""
