"""Launch: a recipe, the sidebar's data set, what differs, and what will run."""

import inspect
import shlex
from collections.abc import Mapping
from functools import partial

import streamlit as st

from orandnet_core.datasets import Dataset
from orandnet_core.errors import OrandnetError
from pages.components import loaders
from pages.components.config_form import draw_form
from pages.components.going import go_to
from pages.components.launching import (
    Launch,
    as_text,
    fitted_overrides,
    fitting_recipe,
    rehearse,
    stage_words,
)
from pages.components.saved_settings import HANDED_KEY
from pages.components.selection import DatasetRef, current_selection
from pages.components.tasks import format_left, result_or_progress
from train.checks import checks
from train.config import Recipe
from train.device_queue import devices
from train.forecast import of_new_run
from train.pace import Estimate
from train.recipes import RECIPES
from train.recipes import recipe as recipe_of
from train.settings import FusionSetting
from train.sources import FUSION
from train.stages import run_order
from train.workspace import free_run_name, run_dir

Estimates = Mapping[str, Estimate | None]

# How a check is shown: icon and colour.
_MARKS = {
    "good": ("check_circle", "green"),
    "doubtful": ("help", "orange"),
    "bad": ("error", "red"),
}


def choose(ref: DatasetRef) -> tuple[str, str, str, str]:
    """Draw recipe, run name, device and weights; return them."""
    columns = st.columns([0.3, 0.3, 0.15, 0.25])
    recipe = columns[0].selectbox(
        "Recipe",
        list(RECIPES),
        list(RECIPES).index(fitting_recipe(ref.kind)),
        key="launch_recipe",
        bind="query-params",
    )
    name = columns[1].text_input(
        "Run name",
        key="launch_run",
        placeholder=free_run_name(recipe),
        help="Left empty, the first free name.",
    )
    device = columns[2].selectbox("Device", devices(), key="launch_device")
    weights = columns[3].text_input(
        "Starting weights",
        key="launch_weights",
        placeholder=f"{recipe_of(recipe).cnn.weights}, as the recipe has it",
        help="`hub` (timm's, from the internet), `none` (train from nothing), a file, or a folder of files "
        "named after the networks.",
    )
    with st.expander(f"About {recipe}", icon=":material/menu_book:"):
        st.code(inspect.cleandoc(RECIPES[recipe].__doc__ or ""), language=None, wrap_lines=True)
    return recipe, name.strip(), device, weights.strip()


def handed_over(recipe: Recipe) -> dict[str, str]:
    """The fusion that the Fuse page handed over, as overrides; drawn so that it can be dropped."""
    setting: FusionSetting | None = st.session_state.get(HANDED_KEY)
    if setting is None:
        return {}
    overrides = setting.as_overrides()
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(
            f":blue-badge[:material/join_full: Fusion from Fuse: {setting.name} at "
            f"{setting.background_threshold:.3f}]"
        )
        st.button("Drop it", type="tertiary", on_click=st.session_state.pop, args=(HANDED_KEY,))
        if not setting.trimap and recipe.masks.source != FUSION:
            if st.toggle("Pseudo-masks from it", key="launch_masks_from_it"):
                overrides |= {"masks.source": FUSION, "masks.background_threshold": None}
            else:
                st.caption(f"As it is, the recipe's pseudo-masks come from `{recipe.masks.source}`.")
    return {path: as_text(value) for path, value in overrides.items()}


def show_plan(launch: Launch, config: Recipe, dataset: Dataset | None, estimates: Estimates) -> None:
    """What will run: the stages in a sentence each, what differs from the recipe, and the command."""
    name = launch.run or free_run_name(launch.recipe)
    left, right = st.columns([0.5, 0.5], gap="large")
    with left:
        st.markdown(f"**What will run** · `{name}` on *{launch.dataset.name}*")
        st.markdown("\n".join(f"1. {line}" for line in _stage_lines(config, dataset, estimates)))
    with right:
        st.markdown("**What differs from the recipe**")
        if launch.overrides:
            st.markdown(
                "\n".join(f"- `{path}` = `{value or '(empty)'}`" for path, value in launch.overrides.items())
            )
        else:
            st.caption("Nothing: the recipe as it is.")
    words = ["python", *launch.command(run_dir(name))[1:]]
    st.code(shlex.join(words), language="shell", wrap_lines=True)


def _stage_lines(config: Recipe, dataset: Dataset | None, estimates: Estimates) -> list[str]:
    lines = []
    for stage in run_order(config):
        known = estimates.get(stage.name)
        time = f" · :gray[{format_left(known.seconds)}]" if known else ""
        lines.append(f"**{stage.title}**: {stage_words(stage, config, dataset)}{time}")
    return lines


def show_checks(launch: Launch, config: Recipe, dataset: Dataset, estimates: Estimates) -> bool:
    """How long it takes and whether device, disk and memory will do; false where one of them will not."""
    folder = run_dir(launch.run or free_run_name(launch.recipe))
    found = checks(estimates.values(), folder, launch.device)
    for column, check in zip(st.columns(len(found)), found, strict=True):
        icon, colour = _MARKS[check.state]
        column.markdown(f":{colour}[:material/{icon}:] **{check.name}**  \n{check.words}")
    if None in estimates.values():
        key = f"rehearsal {launch.device} {dataset.fingerprint(config.data.train_split)} {hash(config)}"
        work = partial(rehearse, launch)
        result_or_progress(key, "Timing it on a few images", work, ask="Time it on a few images")
    return all(check.state != "bad" for check in found)


def start(launch: Launch) -> None:
    try:
        st.session_state["runs_selected"] = launch.start()
    except OrandnetError as error:
        st.error(str(error), title="Not started", icon=":material/error:")
        return
    st.session_state.pop(HANDED_KEY, None)
    go_to("training/runs.py")


target = current_selection().dataset
try:
    opened = loaders.open_dataset_cached(target)
except OrandnetError:
    opened = None  # the sample before it is drawn: the job draws it
chosen, run_name, chosen_device, chosen_weights = choose(target)
fusion = handed_over(recipe_of(chosen))
preset = fitted_overrides(chosen, target, opened) | fusion
overrides = draw_form(recipe_of(chosen), chosen, preset)
plan = Launch(chosen, target, overrides, chosen_weights, chosen_device, run_name)
try:
    resolved = plan.config()
    if run_name:
        run_dir(run_name)
except OrandnetError as error:
    st.error(str(error), title="A field does not fit", icon=":material/error:")
else:
    known = of_new_run(resolved, opened, chosen_device) if opened else {}
    show_plan(plan, resolved, opened, known)
    fits = opened is None or show_checks(plan, resolved, opened, known)
    said = "Start training" if fits else "Start all the same"
    kind = "primary" if fits else "secondary"
    if st.button(said, type=kind, icon=":material/rocket_launch:", key="launch_start"):
        start(plan)
