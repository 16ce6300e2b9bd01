"""What stands in a provider's place to tell what the provider alone costs.

Terraform starts it as the provider; it starts the real one, which inherits everything, waits for it,
and appends what that one process cost to a log. Its own cost (Python's start) counts nowhere: rows that
compare whole commands run without it.
"""

import json
import os
import signal
import sys

#: What Terraform tells a plugin in its environment.
HANDSHAKE = ("PLUGIN_", "TF_PLUGIN_MAGIC_COOKIE", "TF_REATTACH_PROVIDERS")


def run(binary: str, log: str) -> None:
    """Runs the provider to its end, and ends as it did."""
    child = 0

    def forward(number: int, _frame: object) -> None:
        if child:
            os.kill(child, number)

    # Terraform's process group gets the terminal's interrupt, which a plugin ignores.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, forward)
    child = os.posix_spawn(binary, [binary, *sys.argv[1:]], os.environ)
    _, status, usage = os.wait4(child, 0)
    entry = {
        "cpu": usage.ru_utime + usage.ru_stime,
        "peak_kib": usage.ru_maxrss,
        "handshake": {name: value for name, value in os.environ.items() if name.startswith(HANDSHAKE)},
    }
    with open(log, "a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")
    code = os.waitstatus_to_exitcode(status)
    os._exit(code if code >= 0 else 128 - code)
