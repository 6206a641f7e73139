"""Opens a page in a headless Chromium, runs a script in it, and brings back what the script found."""

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run", "--hide-scrollbars", "--enable-logging=stderr", "--v=0",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)  # fmt: skip
COLLECT = """<script>
window.problems = [];
window.addEventListener("error", (event) => problems.push("error: " + (event.message || event.target.src)), true);
window.addEventListener("unhandledrejection", (event) => problems.push("rejected: " + event.reason));
window.addEventListener("securitypolicyviolation", (event) => problems.push("refused: " + event.violatedDirective));
for (const level of ["error", "warn"]) {
  const before = console[level];
  console[level] = (...args) => { problems.push(level + ": " + args.join(" ")); before.apply(console, args); };
}
window.alert = (text) => problems.push("alert: " + text);
</script>"""
ACT = """<script>
(async () => {
  const found = {};
  try { %s } catch (error) { problems.push("test: " + error); }
  found.problems = problems;
  found.loaded = performance.getEntriesByType("resource").map((entry) => entry.name).filter((name) => !name.startsWith("data:"));
  const place = document.createElement("pre");
  place.id = "found";
  place.textContent = JSON.stringify(found);
  document.body.append(place);
})();
</script>"""


def visit(page: str, script: str, folder: Path, *, width: int = 1200, flags: tuple[str, ...] = ()) -> dict[str, object]:
    """Run ``script``, which fills the object ``found``, at the end of a copy of the page.

    What comes back has beside that ``problems`` (errors and warnings of the console, refusals of the security policy,
    calls of alert) and ``loaded`` (addresses that the page asked for).
    """
    page = page.replace("<head>", f"<head>{COLLECT}", 1).replace("</body>", f"{ACT % script}</body>")
    (folder / "page.html").write_text(page, encoding="utf-8")
    done = _chromium(folder, "--dump-dom", f"--window-size={width},900", *flags)
    found = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, f"the page's script did not end: {done.stderr[-2000:]}"
    console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    return json.loads(html.unescape(found[1])) | {"console": console}


def screenshot(page: str, folder: Path, *, width: int = 1200, height: int = 2000, flags: tuple[str, ...] = ()) -> bytes:
    """Take a picture of a page."""
    (folder / "page.html").write_text(page, encoding="utf-8")
    _chromium(folder, f"--screenshot={folder / 'page.png'}", f"--window-size={width},{height}", *flags)
    return (folder / "page.png").read_bytes()


def _chromium(folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    profile = folder / "profile"
    command = [
        str(CHROMIUM), *FLAGS, f"--user-data-dir={profile}", "--virtual-time-budget=20000", *flags,
        (folder / "page.html").as_uri(),
    ]  # fmt: skip
    environment = os.environ | {"HOME": str(folder)}
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)
    finally:
        shutil.rmtree(profile, ignore_errors=True)
