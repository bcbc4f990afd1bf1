"""The viewer alone in a headless Chromium: a page that mounts it, moves a slider and posts what it saw.

No Streamlit, so that nothing but the viewer is measured; the page, the module and the packet come
from a server of our own, and Chromium is the system's.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread

from pages.components.viewer import SCRIPT_DIR, script

WITHIN_S = 180
_CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS = (
    "--headless", "--disable-gpu", "--no-sandbox", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-quic", "--window-size=1280,900",
)  # fmt: skip

_PAGE = """<!doctype html><meta charset="utf-8"><style>
body { margin: 0; --st-font: sans-serif; --st-text-color: #16212b; --st-primary-color: #0b7285;
--st-border-color: #d9e1e7; --st-background-color: #fff; --st-secondary-background-color: #f3f6f8;
--st-base-radius: 8px; --st-button-radius: 8px; }
%(css)s</style>%(html)s
<script type="module">
import mount from "/viewer.js"
const data = new Uint8Array(await (await fetch("/packet")).arrayBuffer())
let sent = 0
mount({ parentElement: document, data, setTriggerValue: () => sent++ })
const root = document.querySelector(".viewer")
const frame = () => new Promise(requestAnimationFrame)
// After the frame: the task that follows it runs once it is painted.
const painted = async () => {
  await frame()
  await new Promise(done => {
    const { port1, port2 } = new MessageChannel()
    port1.onmessage = done
    port2.postMessage(0)
  })
}
while (!root.dataset.shown) await frame()
for (let n = 0; n < 5; n++) await painted()
const answer = {}
%(script)s
answer.sent = sent
await fetch("/answer", { method: "POST", body: JSON.stringify(answer) })
</script>"""


def chromium() -> str | None:
    """The system's Chromium, or None."""
    named = os.environ.get("ORANDNET_CHROMIUM")
    return named or next(filter(None, map(shutil.which, _CHROMIUM)), None)


def in_chromium(executable: str, packet: bytes, measure: str) -> Mapping[str, object]:
    """Run a script beside the mounted viewer and return the `answer` that it fills.

    Args:
        executable: of Chromium.
        packet: from `pages.components.viewer.packet`.
        measure: JavaScript of a module; it has `root`, `frame`, `painted` and `answer`.

    Raises:
        TimeoutError: there was no answer within `WITHIN_S`.
    """
    html, css = ((SCRIPT_DIR / name).read_text() for name in ("viewer.html", "viewer.css"))
    page = _PAGE % {"css": css, "html": html, "script": measure}
    files = {
        "/": ("text/html", page.encode()),
        "/viewer.js": ("text/javascript", script().encode()),
        "/packet": ("application/octet-stream", packet),
    }
    answers: list[bytes] = []
    answered = Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            kind, content = files.get(self.path, ("text/plain", b""))
            self._send(kind, content)

        def do_POST(self):
            answers.append(self.rfile.read(int(self.headers["Content-Length"])))
            self._send("text/plain", b"")
            answered.set()

        def _send(self, kind: str, content: bytes):
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        browser = subprocess.Popen(
            [executable, *_FLAGS, f"--user-data-dir={Path(folder) / 'profile'}",
             f"http://127.0.0.1:{server.server_port}/"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            if not answered.wait(WITHIN_S):
                raise TimeoutError(f"the viewer's page gave no answer within {WITHIN_S} s")
        finally:
            browser.terminate()
            browser.wait(30)
            server.shutdown()
            server.server_close()
    return json.loads(answers[0])
