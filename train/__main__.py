"""`python -m train <command>`: everything that can be done from a shell."""

import argparse
import importlib
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence

from orandnet_core.errors import OrandnetError
from train.interruption import Interrupted, is_full_disk
from train.ranks import join_slurm_step, rank_and_ranks

# Only the module of the command that was asked for is imported, so that `--help` and `data check`
# need no torch. Each has `add_parser(subparsers)` and `main(args) -> exit code`.
COMMANDS = {
    "data": ("train.data", "check, download or make a data set"),
    "init": ("train.init", "write a recipe file for a data set of one's own"),
    "sample": ("train.sample", "prepare the built-in sample that the app opens on"),
    "classify": ("train.classify", "train the CNN's or the ViT's classifier"),
    "cams": ("train.cams", "compute a network's CAMs into a store"),
    "crf": ("train.crf", "sharpen a source's maps with a dense CRF, as a source of its own"),
    "ir-labels": ("train.ir_labels", "make the labels that train the affinity network"),
    "irn": ("train.irn", "train the boundary and displacement network on IR labels"),
    "walk": ("train.walk", "spread a source's scores within boundaries, as a source of its own"),
    "masks": ("train.masks", "make the pseudo-masks that train the segmentation network"),
    "segment": ("train.segment", "train the segmentation network on pseudo-masks"),
    "evaluate": ("train.evaluate", "predict and score with the segmentation network"),
    "refine": ("train.refine", "train the refiner and refine the CAMs"),
    "run": ("train.run_cli", "run all stages of a recipe"),
    "score": ("train.score", "measure sources and write the results"),
    "errors": ("train.errors", "which errors cost a source most, and where they are"),
    "report": ("train.report", "write a comparison as one HTML file, and its tables"),
    "segmentations": ("train.segmentations", "compare segmentation networks over seeds"),
    "study": ("train.study", "masks of several sources x curricula x seeds, compared"),
    "scales": ("train.scales", "what small images do to pseudo-masks"),
    "results": ("train.results", "make results.md from results.json"),
    "release": ("train.release", "write a run's networks as float16 files"),
    "adopt": ("train.adopt", "go on from released networks in place of training"),
    "import": ("train.import_maps", "read another system's CAMs into a run"),
    "export": ("train.export", "write masks or CAMs as VOC, COCO, IRN or an image folder"),
    "jobs": ("train.jobs_cli", "list, follow, cancel or resume background jobs"),
}
MISTAKE = 2  # as argparse exits


def main(argv: Sequence[str]) -> int:
    """Run one command and return its exit code.

    A mistake that the program foresees is one line on stderr and exit code 2; Ctrl-C gives 130
    and SIGTERM 143, as shells have it.
    """
    asked = next((word for word in argv if not word.startswith("-")), None)
    parser = argparse.ArgumentParser(prog="python -m train", description=__doc__.partition(": ")[2])
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, (_, help_text) in COMMANDS.items():
        if name != asked:
            subparsers.add_parser(name, help=help_text)
    if asked not in COMMANDS:
        parser.parse_args(argv)  # prints the help, or what is wrong, and exits
    join_slurm_step()
    try:
        command = importlib.import_module(COMMANDS[asked][0])
        command.add_parser(subparsers)
        return _run(asked, command.main, parser.parse_args(argv))
    except OrandnetError as error:
        print(f"error: {error}", file=sys.stderr)
        return MISTAKE
    except RuntimeError as error:
        operation, unrepeatable, _ = str(error).partition(" does not have a deterministic implementation")
        if not unrepeatable:
            raise
        print(
            f"error: --deterministic: {operation} gives other numbers each time on this GPU: "
            "run the same command without it, or change the setting that needs this operation",
            file=sys.stderr,
        )
        return MISTAKE
    except BrokenPipeError:
        # `... | head` has read enough; without this Python complains once more at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except OSError as error:
        if not is_full_disk(error):
            raise
        where = error.filename or "where the run writes"
        print(
            f"error: {error.strerror}: {where}. Free some disk space and run the same command again: "
            "what is finished is kept, and training goes on from its last checkpoint",
            file=sys.stderr,
        )
        return MISTAKE
    except Interrupted as stop:
        print(stop, file=sys.stderr)
        return 128 + signal.SIGTERM
    except KeyboardInterrupt:
        print("stopped by Ctrl-C", file=sys.stderr)
        return 128 + signal.SIGINT


def _run(name: str, main: Callable[[argparse.Namespace], int], args: argparse.Namespace) -> int:
    """A command's main, with the other processes of the launch where there are any."""
    began_s = time.time()
    if rank_and_ranks()[1] == 1:
        code = main(args)
    else:
        from train import together  # torch

        together.join()
        try:
            code = main(args)
        finally:
            together.leave()
    if code == 0 and "recipe" in args:
        from train.noting import note  # numpy

        note(name, args, began_s)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
