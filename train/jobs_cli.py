"""`python -m train jobs`: the background jobs from a shell."""

import argparse

from train import jobs
from train.workspace import run_dir, run_names


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("jobs", help="list, follow, cancel or resume background jobs")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="every run and how its job stands")
    log = actions.add_parser("log", help="the end of a run's log")
    log.add_argument("--lines", type=int, default=40, help="how many (default 40)")
    cancel = actions.add_parser("cancel", help="stop a job; it saves first and can be resumed")
    cancel.add_argument("--at-once", action="store_true", help="kill it without time to save")
    resume = actions.add_parser("resume", help="go on with a job that failed or was stopped")
    for action in (log, cancel, resume):
        action.add_argument("run", help="name of the run, as `jobs list` shows it")


def main(args: argparse.Namespace) -> int:
    if args.action == "list":
        _list()
        return 0
    folder = run_dir(args.run)
    if args.action == "log":
        print("\n".join(jobs.tail(folder, args.lines)))
        return 0
    if args.action == "cancel":
        jobs.cancel(folder, at_once=args.at_once)
    else:
        jobs.resume(folder)
    print(f"{args.run}: {jobs.status(folder).sentence()}")
    return 0


def _list() -> None:
    names = run_names()
    width = max(map(len, names), default=0)
    for name in names:
        folder = run_dir(name)
        state = jobs.status(folder).sentence() if jobs.has_job(folder) else "run from a shell"
        print(f"{name:{width}}  {state}{_how_far(jobs.progress(folder))}")
    if not names:
        print("no runs yet: python -m train run --recipe scenes")


def _how_far(progress: jobs.StageProgress | None) -> str:
    if progress is None:
        return ""
    share = 100 * progress.done / max(progress.total, 1)
    return f"; {progress.stage} {progress.done}/{progress.total} ({share:.0f}%)"
