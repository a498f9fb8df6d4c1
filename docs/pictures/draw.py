"""Takes one case from end to end on a system of its own, and puts what was really shown into docs/casework.md.

`make docs-pictures`. A block of the page that follows `<!-- run: NAME -->` gets the command of that name and what it
printed; documents become pictures in this folder, drawn by Chromium (`apt-get install chromium fonts-noto-cjk`).
"""

from __future__ import annotations

import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

from huiyin_cli.client import Access, Gateway
from huiyin_local.__main__ import load_town
from huiyin_local.layout import Layout
from huiyin_local.ports import free_port
from huiyin_local.system import running
from PIL import Image, ImageChops
from rich.console import Console
from rich.text import Text

HERE = Path(__file__).parent
PAGE = HERE.parent / "casework.md"
BLOCK = re.compile(r"(<!-- run: ([\w-]+) -->\n```\n).*?(```)", re.DOTALL)
MOST_BYTES = 150_000
WIDE = 170
"""Columns of a terminal's picture."""
SHORTENED = ("accept", "contribute", "draft", "review", "approve", "publish", "close")
"""Steps of which the page shows how they end, and not all that is possible next."""

ASKED = "白鹭街道柳荫巷的自来水从昨天起发黄，静置后有沉淀，老人和孩子都不敢用。请问是什么原因，什么时候能恢复正常？"
NOTE = "请供水公司查明原因并答复；请城管局核查巷口开挖是否损伤供水管。"
FOUND = "巷口开挖为燃气施工，未触及供水管，路面完好。"
ANSWER = (
    "您好。经查，柳荫巷水色发黄是老旧管道检修后残留铁锈所致。供水公司已于当日冲洗管道并更换巷口阀门，"
    "水质检测合格，供水已恢复正常。如仍有异常，请致电供水公司 0700-8000130。"
)

SHELL = """<html><head><meta charset="utf-8"><style>
body {{ margin: 0; background: {background}; color: {foreground}; {stylesheet} }}
pre {{ margin: 0; padding: 14px 18px; display: inline-block;
       font: 14px/1.5 "Noto Sans Mono CJK SC", monospace; }}
</style></head><body><pre>{code}</pre></body></html>"""


class Walk:
    """A case's way, command by command, in a folder of its own."""

    def __init__(self, layout: Layout, folder: Path) -> None:
        self._layout = layout
        self._folder = folder
        self.shown: dict[str, str] = {}
        """What each command showed, with the command, as the page has it."""

    def run(self, name: str, *arguments: str) -> str:
        """Runs `huiyin` and keeps what it printed."""
        huiyin = str(Path(sys.executable).parent / "huiyin")
        environment = os.environ | {"HUIYIN_CLIENT_FILE": str(self._layout.client_file), "TZ": "Asia/Shanghai"}
        done = subprocess.run(
            [huiyin, *arguments], cwd=self._folder, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"huiyin {' '.join(arguments)}: {done.stdout}{done.stderr}")
        printed = "\n".join(line.rstrip() for line in done.stdout.splitlines()).strip("\n")
        command = " ".join(shlex.quote(each) if not each.isascii() or " " in each else each for each in arguments)
        kept = f"{printed.splitlines()[0]}\n  …" if name in SHORTENED else printed
        self.shown[name] = f"$ huiyin {command}\n{kept}\n"
        return printed

    def case(self) -> tuple[str, str]:
        """The case of the inquiry that was submitted, and its inquiry, once it was read."""
        gateway = Gateway(Access.find("desk", self._layout.client_file))
        while True:
            for row in gateway.pages("/v1/inquiries", "inquiries", 50, filter="channel = CHANNEL_ONLINE"):
                if row.get("case"):
                    return str(row["case"]), str(row["name"])
            time.sleep(0.2)

    def walk(self) -> None:
        """From the question to the seal."""
        submitted = self.run("inquire", "inquire", ASKED, "--subject", "自来水发黄")
        receipt = submitted.splitlines()[0].removeprefix("receipt: ")
        case, inquiry = self.case()
        self.run("show", "cases", "show", case)
        self.run("propose", "cases", "propose", case)
        units = ("--unit", "water", "--assisting", "utilities")
        self.run("assign", "cases", "step", case, "assign", *units, "--note", NOTE)
        self.run("order", "cases", "order", case)
        self.run("print", "cases", "order", case, "--html", "order.html")
        self.run("clock", "clock", "explain", case)
        until = f"{date.today() + timedelta(days=7)}T18:00"
        wanted = ("--filter", "kind != FIRST_INFORMATION", "--limit", "12")
        self.run("supervision", "supervision", "list", "--until", until, *wanted)
        self.run("accept", "cases", "step", case, "accept")
        self.run("ask", "--as", "officer", "inquiries", "ask", inquiry, "请问是几号楼，是否只有热水发黄？")
        self.run("add", "receipt", receipt, "--add", "三号楼，冷水热水都黄。")
        self.run("contribute", "cases", "step", case, "contribute", "--note", FOUND)
        self.run("draft", "cases", "step", case, "draft", "--text", ANSWER)
        self.run("check", "replies", "check", case)
        self.run("review", "cases", "step", case, "review")
        self.run("approve", "cases", "step", case, "approve")
        self.run("publish", "cases", "step", case, "publish")
        self.run("receipt", "receipt", receipt)
        self.run("satisfied", "receipt", receipt, "--satisfied")
        self.run("close", "cases", "step", case, "close")
        self.run("story", "cases", "show", case)


def draw(page: Path, name: str, width: int, height: int) -> None:
    """A picture of an HTML page, as large as what stands on it."""
    picture = HERE / f"{name}.png"
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw.png"
        subprocess.run(
            [
                os.environ.get("CHROMIUM", "chromium"),
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
                "--force-device-scale-factor=1.25",
                f"--user-data-dir={folder}/profile",
                f"--window-size={width},{height}",
                f"--screenshot={raw}",
                page.as_uri(),
            ],
            check=True,
            capture_output=True,
        )
        with Image.open(raw) as opened:
            image = opened.convert("RGB")
    edge = image.getpixel((image.width - 1, image.height - 1))
    box = ImageChops.difference(image, Image.new("RGB", image.size, edge)).getbbox()
    assert box is not None, f"{page} shows nothing"
    right, bottom = min(box[2] + 16, image.width), min(box[3] + 16, image.height)
    image.crop((0, 0, right, bottom)).quantize(32).save(picture, optimize=True)
    size = picture.stat().st_size
    assert size < MOST_BYTES, f"{picture.name} has {size} bytes; a page loads slowly with it"
    print(f"{picture.name}: {size} bytes")


def draw_shown(shown: str, name: str, folder: Path) -> None:
    """A picture of what a terminal showed."""
    console = Console(record=True, width=WIDE, file=io.StringIO())
    console.print(Text(shown), soft_wrap=False)
    page = folder / f"{name}.html"
    page.write_text(console.export_html(code_format=SHELL, inline_styles=True), "utf-8")
    draw(page, name, 10 * WIDE, 24 * (shown.count("\n") + 30))


def main() -> None:
    """Walks the case, draws the pictures, and writes the blocks of the page."""
    with tempfile.TemporaryDirectory(prefix="huiyin-docs-") as temporary:
        folder = Path(temporary)
        layout = Layout(folder / "var", free_port(), "sqlite")
        walk = Walk(layout, folder)
        with running(layout):
            load_town(layout)
            walk.walk()
        draw(folder / "order.html", "order", 900, 1700)
        draw_shown(walk.shown["receipt"], "receipt", folder)
        draw_shown(walk.shown["supervision"], "supervision", folder)
        command, _, story = walk.shown["story"].partition("\n")
        draw_shown(f"{command}\n…\n{story[story.index('Chain of') :]}", "story", folder)
    text = PAGE.read_text("utf-8")
    named = {match[1] for match in BLOCK.findall(text)}
    assert named <= set(walk.shown), f"no such command: {named - set(walk.shown)}"
    PAGE.write_text(BLOCK.sub(lambda match: match[1] + walk.shown[match[2]] + match[3], text), "utf-8")


if __name__ == "__main__":
    main()
