"""Turbo-Flask's load example, pushed from outside."""
import itertools
import os

from flask import Flask, render_template
from turbo_flask import Turbo

BOX = os.environ["BOX"]

app = Flask(__name__, template_folder=os.environ["TEMPLATES"])
turbo = Turbo(app)
ticks = itertools.count(1)


@app.route("/push")
def push():
    box = BOX.replace("########", f"{next(ticks):08d}")
    turbo.push(turbo.replace(box, "load"))
    return "", 204


@app.route("/")
def index():
    return render_template("page.html", load=[f"{n:.2f}" for n in os.getloadavg()])
