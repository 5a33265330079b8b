"""A headless Chromium, driven through a pipe by its DevTools protocol.

The protocol's pipe needs no driver and no further package.
"""

import base64
import json
import os
import shutil
import subprocess
import sys

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
# Chromium reads commands from descriptor 3 and answers on descriptor 4.
_START = (
    "import fcntl, os, sys\n"
    "ends = [fcntl.fcntl(int(e), fcntl.F_DUPFD, 10) for e in sys.argv[1:3]]\n"
    "os.dup2(ends[0], 3), os.dup2(ends[1], 4)\n"
    "os.execv(sys.argv[3], sys.argv[3:])\n"
)


class Browser:
    """One tab.

    Args:
        folder: For its profile.

    Attributes:
        complaints: What it printed to its console, and errors of scripts.
    """

    def __init__(self, folder):
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()
        command = [
            CHROMIUM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--force-device-scale-factor=1",
            "--window-size=1280,1000",
            f"--user-data-dir={folder}",
            "--remote-debugging-pipe",
        ]
        ends = theirs_in, theirs_out
        self.process = subprocess.Popen(
            [sys.executable, "-c", _START, *map(str, ends), *command],
            pass_fds=ends,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in ends:
            os.close(end)
        self._out = os.fdopen(ours_out, "wb", buffering=0)
        self._in = os.fdopen(ours_in, "rb")
        self._last, self._session = 0, None
        self.complaints = []
        target = self.call("Target.createTarget", url="about:blank")
        self._session = self.call(
            "Target.attachToTarget", targetId=target["targetId"], flatten=True
        )["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method, **params):
        """Sends a command and returns its result."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        self._out.write(json.dumps(message).encode() + b"\0")
        while (answer := self._read()).get("id") != self._last:
            pass
        assert "error" not in answer, answer
        return answer["result"]

    def open(self, path, address=""):
        """Opens a file and waits until it has loaded.

        Args:
            path: The file.
            address: What comes after the `#` of its address.
        """
        self.complaints.clear()
        if address:
            # From the same file it would be a jump, and nothing is loaded.
            self._load("about:blank")
        self._load(path.as_uri() + f"#{address}" * bool(address))

    def _load(self, address):
        self.call("Page.navigate", url=address)
        while self._read().get("method") != "Page.loadEventFired":
            pass

    def run(self, script):
        """Returns the value of an expression on the page."""
        found = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def picture(self, path, *, scheme="light", height=None):
        """Takes a picture of the page, from its top to `height` pixels."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.call("Emulation.setEmulatedMedia", features=[feature])
        height = height or self.run("document.body.scrollHeight")
        box = {"x": 0, "y": 0, "width": 1280, "height": height, "scale": 1}
        image = self.call(
            "Page.captureScreenshot", clip=box, captureBeyondViewport=True
        )
        path.write_bytes(base64.b64decode(image["data"]))

    def close(self):
        """Ends the browser."""
        try:
            self._session = None
            self.call("Browser.close")
            self.process.wait(timeout=10)
        finally:
            self.process.kill()
            self.process.wait()
            self._in.close()
            self._out.close()

    def _read(self):
        message = bytearray()
        while (byte := self._in.read(1)) != b"\0":
            if not byte:
                raise EOFError("Chromium has ended.")
            message += byte
        found = json.loads(message)
        if found.get("method") in (
            "Runtime.consoleAPICalled",
            "Runtime.exceptionThrown",
            "Log.entryAdded",
        ):
            self.complaints.append(found["params"])
        return found
