"""``callbot doctor`` beside a ``serve`` that runs."""

from __future__ import annotations

import json

from cli import callbot
from serving import SID, TOKEN, Rest, serving


def test_a_serve_that_answers_at_its_public_url_is_found(tmp_path):
    """Its address is asked as Twilio would ask it, and its folder holds all that serve needs."""
    rest = Rest()
    try:
        with serving(tmp_path, rest) as bot:
            env = {
                "TWILIO_ACCOUNT_SID": SID,
                "TWILIO_AUTH_TOKEN": TOKEN,
                "CALLBOT_PUBLIC_URL": bot.url,
                "CALLBOT_TTS": "espeak",
                "CALLBOT_STT": "oracle",
            }
            done = callbot("doctor", "--json", cwd=tmp_path, env=env)
    finally:
        rest.close()
    found = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert found["serve"] == {
        "name": "serve",
        "status": "ok",
        "detail": f"answers at {bot.url}/healthz",
        "remedy": "",
    }
    assert found["greeting clinic"]["status"] == "ok", "serve has rendered it"
    assert done.returncode == 0, done.stdout
