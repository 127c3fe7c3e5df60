"""What a million texts cost here and by a frontier model, from published prices, which say of when they are."""

MACHINE, MACHINE_USD_AN_HOUR = "AWS m7g.large, two cores, us-east-1, on demand, June 2026", 0.0816
FRONTIER, FRONTIER_USD_IN, FRONTIER_USD_OUT = "Claude Sonnet 4.6, a million tokens, March 2026", 3.0, 15.0
INSTRUCTION_TOKENS = 300  # the labels and how to answer, without caching of prompts
ANSWER_TOKENS = 80  # sentiment, aspects with evidence, intents, as JSON
CHARS_A_TOKEN = 4.0


def usd_a_million_here(texts_a_second: float) -> float:
    """If the machine had just that speed, and worked all the time."""
    return 1e6 / texts_a_second / 3600 * MACHINE_USD_AN_HOUR


def usd_a_million_by_frontier(mean_chars: float) -> float:
    """One request a text."""
    tokens_in = INSTRUCTION_TOKENS + mean_chars / CHARS_A_TOKEN
    return tokens_in * FRONTIER_USD_IN + ANSWER_TOKENS * FRONTIER_USD_OUT
