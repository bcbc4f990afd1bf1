"""`python -m train run`: all stages of a recipe, or what they would do."""

import argparse
import sys
from typing import Any

import torch

from orandnet_core.errors import ConfigError
from train import together
from train.checks import checks
from train.forecast import forecast, lines
from train.open_run import add_run_arguments, open_run
from train.plan import Step
from train.rehearsal import rehearse
from train.run import StageResult, run
from train.stages import STAGES


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("run", help="run all stages of a recipe")
    parser.add_argument("named", nargs="?", metavar="RECIPE", help="the recipe, in place of --recipe")
    add_run_arguments(parser)
    names = ", ".join(STAGES)
    parser.add_argument(
        "--from", dest="first", default="", metavar="STAGE", help=f"first stage; one of {names}"
    )
    parser.add_argument("--until", dest="last", default="", metavar="STAGE", help="last stage")
    parser.add_argument(
        "--trust-code", action="store_true", help="keep what an earlier version of the code made"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would run, how long it takes and what it writes"
    )
    parser.add_argument("--anew", action="store_true", help="delete what these stages made, and run them all")
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    if args.named and args.recipe and args.named != args.recipe:
        raise ConfigError(f"two recipes, {args.named} and --recipe {args.recipe}: name one")
    args.recipe = args.named or args.recipe
    how = {"first": args.first, "last": args.last, "trust_code": args.trust_code, "anew": args.anew}
    if args.dry_run:
        return _dry_run(args, how)
    recipe, dataset, run_dir = open_run(args)
    failed = 0
    for result in run(recipe, dataset, run_dir, announce=_say, **how):
        _tell(result)
        failed += len(result.failed)
    return 1 if failed else 0


def _dry_run(args: argparse.Namespace, how: dict[str, Any]) -> int:
    """Print the forecast; what no earlier run knows is rehearsed first. The run's folder is not touched."""
    if together.ranks() > 1:
        raise ConfigError("--dry-run is for one process: leave torchrun or srun out")
    recipe, dataset, run_dir = open_run(args, write=False)
    device = "cuda:0" if torch.cuda.is_available() else "cpu"
    found = forecast(recipe, dataset, run_dir, device=device, **how)
    unknown = [each.step.stage.name for each in found if not each.is_known]
    if unknown:
        print(f"timing {', '.join(unknown)} on a few images", file=sys.stderr)
        rehearse(recipe, dataset, run_dir, unknown[-1], announce=lambda step: None)
        found = forecast(recipe, dataset, run_dir, device=device, **how)
    print("\n".join(lines(found, run_dir)))
    for check in checks([each.estimate for each in found if each.runs], run_dir, device):
        if check.state != "good":
            print(f"{check.name}: {check.words}")
    return 0


def _say(step: Step) -> None:
    if together.is_main():
        print(f"{step.stage.name}: {step.why}{', made anew' if step.anew else ''}", flush=True)


def _tell(result: StageResult) -> None:
    if not together.is_main():
        return
    unchanged = "" if result.ran else f" (unchanged{f'; {result.note} since' if result.note else ''})"
    print(f"{result.stage}: {result.summary}{unchanged}", flush=True)
    for image_id, reason in result.failed.items():
        print(f"  {image_id}: {reason}", file=sys.stderr)
