"""One's own photo: choose it, the networks and the classes, and look at it as at any other image."""

from functools import partial

import streamlit as st

from pages.components.loaders import Maps
from pages.components.method_panes import choose_methods, method_sources
from pages.components.networks import SOURCES, NetworkPair, network_pairs
from pages.components.panes import show_image
from pages.components.photos import MAX_FILE_MB, Photo, gallery, uploaded
from pages.components.scores import task_key
from pages.components.seeing import Seen, look
from pages.components.selection import Selection
from pages.components.tasks import result_or_progress

_PHOTO_KEY = "photo"
_LIKELY_SHOWN = 4


def photo_view(selection: Selection) -> None:
    """Draw the choice of photo and networks, and the photo's panes."""
    pairs = network_pairs()
    if not pairs:
        st.info(
            "Start a recipe with *Launch training* in the sidebar. Its networks appear here once both are "
            "trained.",
            title="No trained networks yet",
            icon=":material/network_node:",
        )
        return
    drop, choose, settings = st.columns([4, 5, 6], gap="medium")
    with drop:
        dropped = _drop()
    with choose:
        photo = _choose_photo(dropped)
    with settings:
        with st.container(horizontal=True):
            pair = _choose_pair(pairs, selection)
            class_ids = _choose_classes(pair)
        seen = _see(pair, photo, class_ids)
    if seen is not None:
        _show(photo, pair, seen)


def _drop() -> list[Photo]:
    files = st.file_uploader(
        "Drop photos", accept_multiple_files=True, max_upload_size=MAX_FILE_MB, key="own_files",
        help="Any format of photo. They stay on this machine, in memory, until you close the tab.",
    )  # fmt: skip
    photos, problems = uploaded(files)
    for problem in problems:
        st.warning(problem, icon=":material/broken_image:")
    return photos


def _choose_photo(dropped: list[Photo]) -> Photo:
    photos = dropped + gallery()
    keys = [photo.key for photo in photos]
    # What was just dropped is what to look at.
    newest = dropped[-1].key if dropped else None
    if st.session_state.get("own_newest") != newest or st.session_state.get(_PHOTO_KEY) not in keys:
        st.session_state["own_newest"] = newest
        st.session_state[_PHOTO_KEY] = newest or keys[0]
    with st.container(horizontal=True, wrap=False, gap="small"):
        for photo in photos:
            with st.container(width="content", gap="xxsmall", horizontal_alignment="center"):
                st.image(photo.thumbnail, alt=photo.name)
                st.button(
                    photo.name, key=f"photo-{photo.key}", on_click=_choose, args=(photo.key,),
                    type="secondary" if photo.key == st.session_state[_PHOTO_KEY] else "tertiary",
                )  # fmt: skip
    return photos[keys.index(st.session_state[_PHOTO_KEY])]


def _choose(key: str) -> None:
    st.session_state[_PHOTO_KEY] = key


def _choose_pair(pairs: dict[str, NetworkPair], selection: Selection) -> NetworkPair:
    names = list(pairs)
    of_run = [name for name in names if pairs[name].run is not None and pairs[name].run == selection.run]
    released = [name for name in names if pairs[name].run is None]
    first = (released or of_run or names)[0]
    name = st.selectbox(
        "Networks", names, index=names.index(first), key="networks", persist_state="session",
        help="The networks of any run, or those that come with the program.",
    )  # fmt: skip
    return pairs[name]


def _choose_classes(pair: NetworkPair) -> tuple[int, ...]:
    names = pair.class_names
    chosen = st.multiselect(
        "Classes",
        names,
        key=f"own_classes-{pair.name}",
        placeholder="What they predict",
        persist_state="session",
    )
    return tuple(sorted(names.index(name) + 1 for name in chosen))


def _see(pair: NetworkPair, photo: Photo, class_ids: tuple[int, ...]) -> Seen | None:
    seen = result_or_progress(
        _key(pair, photo, class_ids),
        f"Looking at {photo.name}",
        partial(look, pair, photo.pixels, class_ids),
    )
    if seen is not None:
        st.caption(_likely(pair, seen))
    return seen


def _key(pair: NetworkPair, photo: Photo, class_ids: tuple[int, ...]) -> str:
    return task_key("look", photo.key, pair.name, str(pair.stamp), str(class_ids))


def _likely(pair: NetworkPair, seen: Seen) -> str:
    """The likeliest classes with both networks' probabilities, in one line."""
    together = sum(seen.probabilities.values())
    order = together.argsort()[::-1][:_LIKELY_SHOWN]
    parts = [
        f"**{pair.class_names[index]}** "
        + " / ".join(f"{seen.probabilities[source][index]:.2f}" for source in SOURCES)
        for index in order
    ]
    return "Likeliest (CNN / ViT): " + " · ".join(parts)


@st.fragment
def _show(photo: Photo, pair: NetworkPair, seen: Seen) -> None:
    maps = _maps(_key(pair, photo, tuple(seen.class_ids.tolist())), photo, seen)
    settings = pair.settings
    subtitles = {
        source: f"{settings.classifier(source).model} · {settings.cams(source).method}" for source in SOURCES
    }
    height, width = photo.pixels.shape[:2]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"{photo.name} · {width} × {height}", width="content")
        choose_methods(pair)
    extra = method_sources(pair, photo.key, photo.pixels, seen.class_ids)
    show_image(maps, pair.class_names, key="photo_viewer", subtitles=subtitles, extra=extra)


@st.cache_resource(max_entries=6, ttl="1h", show_spinner=False)
def _maps(key: str, _photo: Photo, _seen: Seen) -> Maps:
    cnn, vit = (_seen.cams[source].full_size() for source in SOURCES)
    return Maps(_photo.pixels, cnn, vit, _seen.class_ids, None)
