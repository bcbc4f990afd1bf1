"""Open a page of the app and wait until it is done, as a browser would."""

import time

from streamlit.testing.v1 import AppTest


def opened(app: AppTest, page: str, **query: str) -> AppTest:
    """The app on a page, named by its file below `pages/`, once nothing is under way any more."""
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    app.switch_page(f"pages/{page}")
    return settled(app.run())


def settled(app: AppTest, within_s: float = 60) -> AppTest:
    """The page without progress bars of its own: a browser polls, here the test does."""
    give_up = time.monotonic() + within_s
    while app.main.progress and time.monotonic() < give_up:
        time.sleep(0.1)
        app.run()
    assert not app.exception, app.exception
    assert not app.main.progress, [bar.text for bar in app.main.progress]
    return app


def captions(app: AppTest) -> str:
    """All small print of the page."""
    return "\n".join(caption.value for caption in app.caption)


def address(app: AppTest) -> dict[str, str]:
    """The page's query, as it stands after the run."""
    return {name: value if isinstance(value, str) else value[-1] for name, value in app.query_params.items()}
