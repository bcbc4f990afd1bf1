"""Launching from the sidebar and from the Launch page, and what Runs shows, with real background jobs."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from orandnet_core.datasets import open_dataset
from pages.components.config_form import SECTIONS, fields_of
from pages.components.launching import STAGES, as_text
from tests.conftest import until
from tests.pages.opening import captions, opened, settled
from train import jobs, locks, pace, stages
from train.device_queue import devices
from train.recipes import recipe
from train.workspace import run_dir, run_names, sample_dir

# Reports one stage as the real ones do, then waits to be stopped or ends, as its first word says.
STAND_IN = """
import json, sys, time
from pathlib import Path
folder, end = Path(sys.argv[1]), sys.argv[2]
line = {"time": time.time(), "stage": "classify-cnn", "done": 30, "total": 120, "rate": 2.0, "eta_s": 45.0}
(folder / "metrics.jsonl").write_text(json.dumps(line) + "\\n")
print("one quarter done", flush=True)
while end == "wait":
    time.sleep(0.05)
sys.exit(0 if end == "finish" else 3)
"""


@pytest.fixture(autouse=True)
def _no_job_outlives_its_test(workspace: Path) -> Iterator[None]:
    yield
    alive = [name for name in run_names() if not ended(name)]
    for name in alive:
        jobs.cancel(run_dir(name), at_once=True)
    until(lambda: all(ended(name) for name in alive))


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch):
    """Jobs run the stand-in in place of training; call it with `wait`, `finish` or `fail`."""

    def ends(how: str) -> None:
        def command(*words: str | Path) -> list[str]:
            folder = words[words.index("--run-dir") + 1]
            return [sys.executable, "-c", STAND_IN, str(folder), how, *map(str, words)]

        monkeypatch.setattr(jobs, "train_command", command)

    return ends


def reported(name: str) -> bool:
    return jobs.progress(run_dir(name)) is not None


def ended(name: str) -> bool:
    return not locks.is_held(run_dir(name) / "lock")


def texts(app: AppTest) -> str:
    return "\n".join(block.value for block in app.markdown)


def field_key(path: str) -> str:
    """The key of a field of the recipe `scenes` in the form, which has its value in it."""
    config = recipe("scenes")
    field = next(
        field
        for section in SECTIONS
        for field in fields_of(getattr(config, section), section)
        if field.path == path
    )
    return f"launch scenes {path} {as_text(field.value)}"


def test_start_watch_cancel_and_resume_from_the_sidebar(app: AppTest, stand_in):
    stand_in("wait")
    page = opened(app, "training/runs.py")
    page.selectbox(key="panel_recipe scenes").set_value("scenes")
    page.button(key="panel_start").click().run()
    until(lambda: reported("scenes"))
    page.run()
    assert not page.exception
    assert "**scenes** :blue-badge[:material/play_circle: running]" in texts(page)
    assert page.progress[0].text == f"Train the CNN (1 of {len(STAGES)}) · 30 of 120 · 45 s left"
    assert page.progress[0].value == 25

    page.button(key="stop-panel-scenes").click().run()
    until(lambda: ended("scenes"))
    page.run()
    assert "cancelled" in texts(page)
    page.button(key="resume-panel-scenes").click().run()
    until(lambda: jobs.status(run_dir("scenes")).state == "running")
    page.run()
    assert "running" in texts(page)


def test_a_job_is_there_for_another_tab(app: AppTest, stand_in, workspace: Path):
    stand_in("wait")
    opened(app, "training/runs.py").button(key="panel_start").click().run()
    until(lambda: reported("scenes"))
    other = opened_app()
    assert "**scenes** :blue-badge" in texts(other)


def opened_app() -> AppTest:
    from tests.conftest import ROOT

    other = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    other.switch_page("pages/training/runs.py")
    other.run()
    assert not other.exception
    return other


@pytest.mark.parametrize(
    ("how", "told"), [("finish", "finished after"), ("fail", "failed with exit code 3: see the log")]
)
def test_how_a_job_ended_is_told(app: AppTest, stand_in, how: str, told: str):
    stand_in(how)
    page = opened(app, "training/runs.py")
    page.button(key="panel_start").click().run()
    until(lambda: ended("scenes"))
    page.run()
    assert told in captions(page)
    assert any("one quarter done" in block.value for block in page.code)


def test_what_the_form_changes_is_shown_and_run(app: AppTest, stand_in):
    stand_in("finish")
    page = opened(app, "training/launch.py", launch_recipe="scenes")
    page.number_input(key=field_key("cnn.epochs")).set_value(2)
    page.text_input(key=field_key("vit.learning_rate")).set_value("0.00123")
    page.text_input(key="launch_run").set_value("mine").run()
    assert "- `cnn.epochs` = `2`\n- `vit.learning_rate` = `0.00123`" in texts(page)
    assert "--set cnn.epochs=2 --set vit.learning_rate=0.00123" in page.code[-1].value
    page.button(key="launch_start").click().run()
    assert not page.exception
    until(lambda: ended("mine"))
    argv = json.loads((run_dir("mine") / "job.json").read_text())["argv"]
    assert argv[-4:] == ["--set", "cnn.epochs=2", "--set", "vit.learning_rate=0.00123"]
    assert page.session_state["runs_selected"] == "mine"


def known_pace(seconds: float, gigabytes: float) -> None:
    """As if each stage of the recipe `scenes` had been timed on this machine, on the workspace's sample."""
    config, dataset = recipe("scenes"), open_dataset(sample_dir(), "scenes")
    each = pace.Pace(
        phases=(), fixed_s=seconds, bytes_an_image=0.0, bytes_fixed=gigabytes * 1e9,
        memory_gb=0.1, gpu_memory_gb=0.0, images=1, measured_s=0.0,
    )  # fmt: skip
    for stage in stages.STAGES.values():
        pace.save(each, stage, config, dataset, pace.machine(devices()[0]))


def test_how_long_it_takes_and_what_it_needs_is_looked_at_first(app: AppTest, workspace: Path):
    known_pace(600.0, 0.001)
    page = opened(app, "training/launch.py", launch_recipe="scenes")
    assert "**Time**  \nabout 2 h 00 min" in texts(page)
    assert "needs 12 MB" in texts(page)
    assert "· :gray[10 min]" in texts(page)
    assert page.button(key="launch_start").label == "Start training"
    assert not [found for found in page.button if found.label.startswith("Time it")]


def test_a_disk_that_is_too_small_is_told_before_the_start(app: AppTest, workspace: Path):
    known_pace(600.0, 1e6)
    page = opened(app, "training/launch.py", launch_recipe="scenes")
    assert "make room first" in texts(page)
    assert page.button(key="launch_start").label == "Start all the same"


def test_what_is_not_known_can_be_timed(app: AppTest, workspace: Path, monkeypatch: pytest.MonkeyPatch):
    def command(*words: str | Path) -> list[str]:
        assert words[-1] != "--dry-run", "added by the caller"
        return [sys.executable, "-c", "import sys; print('no such GPU'); sys.exit(2)"]

    page = opened(app, "training/launch.py", launch_recipe="scenes")
    assert "not known yet" in texts(page)
    monkeypatch.setattr(jobs, "train_command", command)
    button = next(found for found in page.button if found.label == "Time it on a few images")
    button.click().run()
    until(lambda: page.run() and bool(page.error))
    assert "no such GPU" in page.error[0].value


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("cnn.learning_rate", "fast", "cnn.learning_rate"),
        ("launch_run", "not/a name", "run name 'not/a name'"),
    ],
)
def test_what_does_not_fit_is_told_and_cannot_be_started(app: AppTest, key: str, value: str, told: str):
    page = opened(app, "training/launch.py", launch_recipe="scenes")
    page.text_input(key=field_key(key) if "." in key else key).set_value(value).run()
    assert told in page.error[0].value
    assert "launch_start" not in [found.key for found in page.button]


def test_a_name_that_is_taken_by_a_living_job_is_told(app: AppTest, stand_in):
    stand_in("wait")
    for _ in range(2):
        page = opened(app, "training/launch.py", launch_recipe="scenes")
        page.text_input(key="launch_run").set_value("mine").run()
        page.button(key="launch_start").click().run()
        app = opened_app()
        until(lambda: reported("mine"))
    assert "mine is already running" in page.error[0].value


def test_a_run_is_deleted_only_after_it_ended(app: AppTest, stand_in, workspace: Path):
    stand_in("wait")
    page = opened(app, "training/runs.py")
    page.button(key="panel_start").click().run()
    until(lambda: reported("scenes"))
    page.session_state["runs_selected"] = "scenes"
    page.run()
    page.button(key="runs_delete").click().run()
    assert run_dir("scenes").is_dir()
    jobs.cancel(run_dir("scenes"), at_once=True)
    until(lambda: ended("scenes"))
    page.run()
    page.button(key="runs_delete").click().run()
    assert not page.exception
    assert not run_dir("scenes").exists()
    assert run_dir("sample").is_dir()


def test_no_run_yet_says_what_to_do(app: AppTest, workspace: Path):
    import shutil

    app.run()
    # Only now: the first page would begin to prepare the sample again, and that is a run.
    shutil.rmtree(workspace / "runs")
    page = settled(app.switch_page("pages/training/runs.py").run())
    assert page.info[0].value.startswith("Start a recipe")


def test_runs_from_a_shell_are_shown_with_their_curves(app: AppTest, workspace: Path):
    lines = [
        {
            "time": 1.0,
            "stage": "classify-vit",
            "done": 10 * step,
            "total": 40,
            "rate": 1,
            "eta_s": 1,
            "loss": 1 / step,
        }
        for step in (1, 2, 3, 4)
    ]
    lines[-1]["map"] = 0.815
    (run_dir("sample") / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    page = opened(app, "training/runs.py")
    assert "from a shell" in texts(page)
    table = next(frame.value for frame in page.dataframe if "run" in frame.value.columns)
    assert table["progress"].tolist() == [1.0]
    assert table["cams"].tolist() == ["cnn, vit"]
    assert any("mAP 81.5" in " ".join(map(str, block.value.to_numpy().ravel())) for block in page.table)
