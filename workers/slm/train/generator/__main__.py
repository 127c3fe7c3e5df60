"""`python -m workers.slm.train.generator --data DIR --folder DIR`: trains a generator's adapter for headlines and digests.

Needs the extra `train-generator` (torch, transformers, peft). It writes checkpoints into the folder, on Ctrl-C too, and
goes on from them when run again. On two laptop cores it sees about 80 tokens a second; with a GPU it uses it.
"""

import argparse
import json
import random
import signal
import time
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import torch

from workers.analyze.author import NEW_TOKENS as DIGEST_TOKENS
from workers.analyze.author import GeneratingAuthor
from workers.analyze.headline_author import NEW_TOKENS as HEADLINE_TOKENS
from workers.analyze.headline_author import asked_of, system_of
from workers.analyze.support import Reader
from workers.settings import load_settings
from workers.slm.build import ensure_pack
from workers.slm.generator import Generator
from workers.slm.gguf import read_gguf
from workers.slm.recipes import load_recipe
from workers.slm.sources import fetch_base
from workers.slm.train.generator.loop import Plan, Trainer
from workers.slm.train.generator.network import LowRank, Told, llama, with_low_rank
from workers.slm.train.generator.samples import Sample, digest_samples, headline_samples

DEV_HEADLINES, DEV_DIGESTS = 40, 10


def main() -> None:
    """Trains and leaves `best.pt` in the folder; `python -m workers.slm.train.generator.export` makes the adapter of it."""
    parser = argparse.ArgumentParser(prog="python -m workers.slm.train.generator", description=main.__doc__)
    parser.add_argument("--data", type=Path, required=True, help="directory of the *.jsonl.gz sets")
    parser.add_argument("--folder", type=Path, required=True, help="where checkpoints go")
    parser.add_argument(
        "--recipe", default="smollm2-135m-voxpop", help="the pack's recipe: its base and its tasks' words"
    )
    parser.add_argument("--minutes", type=float, default=50.0, help="of wall time")
    parser.add_argument("--rate", type=float, default=4e-4)
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(29)
    random.seed(29)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    recipe = load_recipe(arguments.recipe)
    began = time.monotonic()
    samples = gathered(arguments.data, arguments.folder)
    told = {part: told_of(some, arguments.recipe) for part, some in samples.items()}
    train = [each for some in told["train"].values() for each in some]
    dev = {"headline": told["dev"]["headline"][:DEV_HEADLINES], "digest": told["dev"]["digest"][:: 42 // DEV_DIGESTS]}
    counts = {part: {task: len(some) for task, some in tasks.items()} for part, tasks in told.items()}
    print(f"{counts}, {sum(map(len, train))} tokens an epoch, ready after {time.monotonic() - began:.0f} s", flush=True)
    settings = load_settings()
    files = fetch_base(recipe.base, settings.cache_dir, settings.model.base_source, print)
    plan = LowRank(rank=arguments.rank, alpha=2.0 * arguments.rank)
    (arguments.folder / "low_rank.json").write_text(json.dumps(asdict(plan)))
    model = with_low_rank(llama(read_gguf(files["weights"])), plan)
    if torch.cuda.is_available():
        model.cuda()
    trainer = Trainer(model, train, dev, Plan(minutes=arguments.minutes, rate=arguments.rate), arguments.folder)
    print(f"resumed: {trainer.resume()}; {trainer.steps_an_epoch} steps an epoch", flush=True)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: trainer.stop())
    trainer.run()


def gathered(data: Path, folder: Path) -> dict[str, list[Sample]]:
    """The samples of train and dev; kept in the folder, since judging what may be a headline takes minutes."""
    kept = folder / "samples.json"
    if not kept.is_file():
        settings = load_settings()
        pack = ensure_pack(settings.model.pack, settings.packs_dir, settings.cache_dir)
        with closing(pack.encoder(settings.model.replicas)) as encoder:
            reader = Reader(encoder, pack.heads)
            found = {
                "train": [*headline_samples(data, "train", reader), *digest_samples(data, "train", reader)],
                "dev": [*headline_samples(data, "dev", reader), *digest_samples(data, "dev")],
            }
        kept.write_text(json.dumps({part: [asdict(each) for each in some] for part, some in found.items()}))
    plain = json.loads(kept.read_text())
    return {
        part: [Sample(each["task"], tuple(each["texts"]), tuple(each["answers"])) for each in some]
        for part, some in plain.items()
    }


def told_of(samples: list[Sample], recipe: str) -> dict[str, list[Told]]:
    """The samples in the tokens that the pack will be asked in, by task."""
    settings = load_settings()
    pack = ensure_pack(recipe, settings.packs_dir, settings.cache_dir)
    found: dict[str, list[Told]] = {"headline": [], "digest": []}
    with pack.generator(1) as generator:  # for its words alone: what it says today does not matter
        for sample in samples:
            found[sample.task].append(told(sample, generator))
    return found


def told(sample: Sample, generator: Generator) -> Told:
    """A sample in tokens: the very prompt of the author that will ask, and its answers with the mark of a turn's end."""
    if sample.task == "headline":
        (text,) = sample.texts
        prompt = generator.prompt(system_of(generator), asked_of(generator, text), HEADLINE_TOKENS)
    else:
        author = GeneratingAuthor(generator, "", "")
        prompt = generator.prompt(author.prompt, author.asked(sample.texts), DIGEST_TOKENS)
    end = generator.shape.turn_end
    answers = [(*generator.tokens(answer), end) for answer in sample.answers]
    return Told(generator.ids(prompt), tuple(generator.ids(answer) for answer in answers))


if __name__ == "__main__":
    main()
