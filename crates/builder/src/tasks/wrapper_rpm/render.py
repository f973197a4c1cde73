"""Fills a template of Cheetah's with values: render.py VALUES.json TEMPLATE RESULT; ends with 3 where Cheetah is missing."""

import json
import sys

try:
    from Cheetah.Template import Template
except ImportError:
    sys.exit(3)

values, template, result = sys.argv[1:]
with open(values, encoding="utf-8") as data:
    known = json.load(data)
text = str(Template(file=template, searchList=[known]).respond())
with open(result, "w", encoding="utf-8") as out:
    out.write(text)
