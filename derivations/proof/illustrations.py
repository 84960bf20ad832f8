"""Pictures in chapters: `<!-- picture NAME -->` in a chapter's prose stands for one of docs/pictures/.

The picture, its two colours and its description are taken from the page of pictures, where it was drawn.
"""

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "pictures" / "index.md"
PLACE = re.compile(r"<!-- picture (?P<name>\S+) -->")
TITLE = re.compile(r"^## (?P<title>.+)$", re.MULTILINE)


def illustrated(text: str, script: str, page: Path = PAGE) -> str:
    """Put the pictures in their places, each with a link to where it is explained.

    Raises:
        ValueError: if there is no picture of that name; the message names the script.
    """
    return PLACE.sub(lambda place: _shown(place["name"], script, page.read_text(encoding="utf-8")), text)


def _shown(name: str, script: str, pictures: str) -> str:
    for section in re.split(r"^(?=## )", pictures, flags=re.MULTILINE):
        images = re.findall(rf"^!\[.*\]\({re.escape(name)}\.\w+\.svg.*$", section, re.MULTILINE)
        heading = TITLE.search(section)
        if images and heading:
            anchor = re.sub(r"[^\w]+", "-", heading["title"].lower()).strip("-")
            moved = "\n".join(image.replace(f"]({name}.", f"](../pictures/{name}.") for image in images)
            return f"{moved}\n\nPicture: [{heading['title']}](../pictures/index.md#{anchor})."
    raise ValueError(f"{script} shows the picture {name!r}, which docs/pictures/index.md does not")
