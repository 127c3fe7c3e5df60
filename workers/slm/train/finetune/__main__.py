"""`python -m workers.slm.train.finetune --data DIR --folder DIR`: trains the upper layers of a pack's encoder.

Needs the extra `train-encoder` (torch). It writes checkpoints into the folder and goes on from them when run again.
"""

import argparse
import json
import random
import time
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from schemas.taxonomy import load_taxonomy
from workers.settings import load_settings
from workers.slm.build import ensure_built
from workers.slm.e5s1 import read_e5s1
from workers.slm.prune import with_layers, with_pieces
from workers.slm.train.finetune.frozen import frozen_states
from workers.slm.train.finetune.go_on import trained_of
from workers.slm.train.finetune.loop import Plan, Trainer
from workers.slm.train.finetune.measure import DevSets
from workers.slm.train.finetune.network import Network
from workers.slm.train.finetune.opinions import opinions
from workers.slm.train.finetune.samples import aspect_texts, training_samples
from workers.slm.train.finetune.teacher import teach, topical

MOST_TOKENS = 128  # of a training text


def main() -> None:
    """Trains and leaves `best.pt` in the folder."""
    parser = argparse.ArgumentParser(prog="python -m workers.slm.train.finetune", description=main.__doc__)
    parser.add_argument("--data", type=Path, required=True, help="directory of the *.jsonl.gz sets")
    parser.add_argument("--base", type=Path, required=True, help="the E5S1 file")
    parser.add_argument("--pieces", type=Path, help="the kept pieces' ids, a .npy; not needed with --go-on")
    parser.add_argument("--folder", type=Path, required=True, help="where checkpoints go")
    parser.add_argument("--start", type=Path, help="a checkpoint of another training to begin from")
    parser.add_argument("--go-on", metavar="PACK", help="begin from this pack's trained part, with its second opinions")
    parser.add_argument("--keep", type=float, default=1.0, help="of --go-on's layers, the base's being the rest")
    parser.add_argument(
        "--taught", type=float, default=1.0, help="of the texts that the base could read for their topics"
    )
    parser.add_argument("--layers", type=int, default=10)
    parser.add_argument("--frozen", type=int, default=3)
    parser.add_argument("--epochs", type=float, default=4.0)
    parser.add_argument("--minutes", type=float, default=0.0, help="of wall time, instead of epochs")
    parser.add_argument("--rate", type=float, default=1.5e-4)
    parser.add_argument(
        "--token-dropout", type=float, default=0.05, help="share of a training text's tokens that are hidden"
    )
    parser.add_argument(
        "--seed", type=int, default=13, help="of the order of texts: trainings of other seeds can be averaged"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sample", type=float, default=1.0, help="share of the training texts: for trials")
    arguments = parser.parse_args()
    if not (arguments.go_on or arguments.pieces):
        parser.error("give --pieces, the kept pieces of the vocabulary, or --go-on PACK, whose pieces are kept")
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    random.seed(arguments.seed)
    languages = ("en", "es", "pt", "fr", "it", "de")
    taxonomy = load_taxonomy()
    samples = training_samples(arguments.data, taxonomy, languages)
    if arguments.sample < 1:
        samples = samples[:: round(1 / arguments.sample)]
    texts = aspect_texts(taxonomy, samples)
    samples += topical(samples, texts, arguments.taught)
    whole = read_e5s1(arguments.base)
    if arguments.go_on:
        bert, learnt = trained_of(arguments.go_on, whole, arguments.keep)
    else:
        bert = with_layers(with_pieces(whole, np.load(arguments.pieces)), arguments.layers)
    tokenizer = Tokenizer.from_str(json.dumps(bert.tokenizer))
    began = time.monotonic()
    sentences = sorted({text for some in texts.values() for text in some})
    described = {name: [sentences.index(text) for text in some] for name, some in texts.items()}
    frozen = arguments.frozen
    descriptions = frozen_states(bert, frozen, tokenizer, sentences, MOST_TOKENS)
    dev = DevSets(bert, frozen, tokenizer, arguments.data, languages, (descriptions, described))
    print(f"dev sets ready after {time.monotonic() - began:.0f} s", flush=True)
    states = frozen_states(bert, frozen, tokenizer, [s.text for s in samples], MOST_TOKENS)
    print(f"{len(samples)} texts, {len(states.states)} tokens ready after {time.monotonic() - began:.0f} s", flush=True)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    taught = teach(samples, arguments.base, arguments.folder / "taught.npz", arguments.threads, arguments.taught)
    print(f"{len(taught.vectors)} texts' topics taught after {time.monotonic() - began:.0f} s", flush=True)
    network = Network(bert, frozen)
    second = None
    if arguments.go_on:
        network.load_state_dict(learnt, strict=False)
        settings = load_settings()
        pack = ensure_built(arguments.go_on, settings.packs_dir, settings.cache_dir)
        cache = arguments.folder / "opinions.npz"
        second = opinions(samples, pack, arguments.base, cache, arguments.threads)
        print(
            f"{int((~second[:, 0].isnan()).sum())} second opinions after {time.monotonic() - began:.0f} s", flush=True
        )
    if arguments.start:
        network.load_state_dict(torch.load(arguments.start, weights_only=True), strict=False)
    plan = Plan(
        epochs=arguments.epochs,
        minutes=arguments.minutes,
        rate=arguments.rate,
        token_dropout=arguments.token_dropout,
        seed=arguments.seed,
    )
    trainer = Trainer(network, samples, states, descriptions, described, taught, plan, arguments.folder, second)
    print(f"resumed: {trainer.resume()}; {trainer.batches_an_epoch} batches an epoch", flush=True)
    torch.set_num_threads(arguments.threads)  # what read texts meanwhile has left one
    trainer.run(dev.measure)


if __name__ == "__main__":
    main()
