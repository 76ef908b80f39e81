"""Options that several commands share: each is declared once, with its help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

_DATA, _RACE, _OUTPUT, _MACHINE = "Data", "What races, and for how long", "Output", "Machine"
_LIMITS, _CIRCUMSTANCES = "Limits of what may ship", "Circumstances"

Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="A folder of images or .txt files (`CLASS/*`, or `train|val|test/CLASS/*`), a CSV, TSV, Parquet or JSONL "
        "file (or a folder with one for each split) of images, texts, tagged words or chats, or a plain .txt file.",
    ),
]
InputColumn = Annotated[
    str | None,
    typer.Option(
        help="Column of image paths or texts in a table; of pairs of texts FIRST,SECOND.",
        show_default="told from it",
        rich_help_panel=_DATA,
    ),
]
TextColumn = Annotated[
    str | None,
    typer.Option(
        "--input-column",
        help="Column of texts in a table; of pairs of texts FIRST,SECOND; of a raw table those to use, with commas.",
        show_default="told from it",
    ),
]
TargetColumn = Annotated[
    str | None,
    typer.Option(
        help="Column of labels, values or tags in a table.",
        show_default="told from it",
        rich_help_panel=_DATA,
    ),
]
TaskKind = Annotated[
    str | None,
    typer.Option(
        "--task",
        help="What is predicted: binary, multiclass, multilabel, regression, tagging or language.",
        show_default="told from the data",
        rich_help_panel=_DATA,
    ),
]
Metric = Annotated[
    str | None,
    typer.Option(
        help="What trials are judged by.",
        show_default="accuracy, f1_micro, r2, entity_f1 or perplexity, by the task",
        rich_help_panel=_DATA,
    ),
]
Reference = Annotated[
    str | None,
    typer.Option(
        metavar="DATA",
        help="Data of another subject, on which it is measured what each trial forgets.",
        show_default="none",
        rich_help_panel=_DATA,
    ),
]
Pack = Annotated[
    bool,
    typer.Option(
        "--pack/--no-pack",
        help="Let training documents of a language model share rows of tokens.",
        rich_help_panel=_DATA,
    ),
]
Group = Annotated[
    str | None,
    typer.Option(
        help="A column, or a regular expression on names: no group falls on two sides of a split.",
        show_default="no groups",
        rich_help_panel=_DATA,
    ),
]
Labels = Annotated[
    Path | None,
    typer.Option(
        metavar="CSV",
        help="Corrected labels: a review list of `cutpoint audit --review`, filled in; the gain is measured.",
        show_default="the labels as given",
        rich_help_panel=_DATA,
    ),
]
TestFraction = Annotated[
    float,
    typer.Option(help="Share held out for the test where there is no test split.", rich_help_panel=_DATA),
]
PerClass = Annotated[
    int | None,
    typer.Option(help="Training examples kept of each class.", show_default="all", rich_help_panel=_DATA),
]
MaxUnreadable = Annotated[
    float,
    typer.Option(help="Share of unreadable inputs above which the run stops.", rich_help_panel=_DATA),
]
AllowLeakage = Annotated[
    bool,
    typer.Option(
        "--allow-leakage",
        help="Go on though copies of training examples stand in the validation or test split.",
        rich_help_panel=_DATA,
    ),
]

Backbones = Annotated[
    list[str] | None,
    typer.Option(
        "--backbone",
        "-b",
        metavar="NAME|FOLDER",
        help="Pretrained network: a timm or hf: name, a local folder, builtin:glyphs. Repeat for several.",
        show_default="auto: the smallest one that can be reached",
        rich_help_panel=_RACE,
    ),
]
Regimes = Annotated[
    list[str] | None,
    typer.Option(
        "--regime",
        "-r",
        metavar="NAME|FILE",
        help="What to race: names from `cutpoint list regimes`, tf-idf or image-statistics, YAML files, or all. "
        "Repeat for several.",
        show_default="auto: those that `list regimes` marks",
        rich_help_panel=_RACE,
    ),
]
Regime = Annotated[
    str,
    typer.Option(
        "--regime",
        "-r",
        metavar="NAME|FILE",
        help="A name from `cutpoint list regimes`, or a YAML file.",
        rich_help_panel=_RACE,
    ),
]
Budget = Annotated[
    str,
    typer.Option(metavar="TIME", help="Wall-clock limit, such as 90s, 20m or 2h.", rich_help_panel=_RACE),
]
Target = Annotated[
    str | None,
    typer.Option(
        help="Stop when good enough, such as 'accuracy>=0.95', judged by the interval's lower bound.",
        show_default="none",
        rich_help_panel=_RACE,
    ),
]
MinGain = Annotated[
    float,
    typer.Option(
        min=0.0,
        help="Least gain that justifies a dearer regime, in units of the metric; of perplexity a share.",
        rich_help_panel=_RACE,
    ),
]
Exhaustive = Annotated[
    bool,
    typer.Option(
        "--exhaustive", help="Run every trial to its end, whatever it promises.", rich_help_panel=_RACE
    ),
]
MaxLatency = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        metavar="MS",
        help="Milliseconds that one answer may take; slower models are ruled out.",
        show_default="any",
        rich_help_panel=_LIMITS,
    ),
]
MaxMemory = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        help="Memory that training may take, such as 2GiB.",
        show_default="what is there",
        rich_help_panel=_LIMITS,
    ),
]
MaxStored = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        help="Bytes that each further task over the same backbone may store, such as 10MB.",
        show_default="any",
        rich_help_panel=_LIMITS,
    ),
]
LocalOnly = Annotated[
    bool,
    typer.Option("--local-only", help="Only backbones in a folder of this machine.", rich_help_panel=_LIMITS),
]
KnownProvenance = Annotated[
    bool,
    typer.Option(
        "--known-provenance",
        help="Only backbones whose licence and training data are known; else from scratch.",
        rich_help_panel=_LIMITS,
    ),
]
Tasks = Annotated[
    int,
    typer.Option(min=1, help="Tasks that are to share the backbone.", rich_help_panel=_CIRCUMSTANCES),
]
Retrain = Annotated[
    Literal["never", "yearly", "monthly", "weekly", "daily"],
    typer.Option(help="How often each task is trained again.", rich_help_panel=_CIRCUMSTANCES),
]
WrongCosts = Annotated[
    Literal["nothing special", "revenue", "trust"],
    typer.Option(help="What an error costs.", rich_help_panel=_CIRCUMSTANCES),
]
Unlabelled = Annotated[
    str | None,
    typer.Option(
        metavar="DATA",
        help="More examples of the target, without labels.",
        show_default="none",
        rich_help_panel=_CIRCUMSTANCES,
    ),
]
OtherTask = Annotated[
    str | None,
    typer.Option(
        metavar="DATA",
        help="A related labelled set.",
        show_default="none",
        rich_help_panel=_CIRCUMSTANCES,
    ),
]
Remedies = Annotated[
    bool,
    typer.Option(
        "--remedies/--no-remedies",
        help="Try regimes that mend what the best fine-tune lacks, such as overfitting.",
        rich_help_panel=_RACE,
    ),
]
Cut = Annotated[
    str | None,
    typer.Option(
        help="Where partial regimes cut: a number of frozen blocks, a block's name, or a pattern.",
        show_default="where the every-layer probe proposes",
        rich_help_panel=_RACE,
    ),
]
ImageSize = Annotated[
    int | None,
    typer.Option(
        min=8,
        help="Pixels a side that images are resized to.",
        show_default="the backbone's own",
        rich_help_panel=_RACE,
    ),
]
MaxLength = Annotated[
    int | None,
    typer.Option(
        min=8,
        help="Tokens at which texts are cut off; `cutpoint audit` counts what is longer.",
        show_default="the backbone's own",
        rich_help_panel=_RACE,
    ),
]

Out = Annotated[
    Path,
    typer.Option(
        metavar="RUN",
        help="Run folder; an unfinished run of the same settings goes on there.",
        rich_help_panel=_OUTPUT,
    ),
]
Restart = Annotated[
    bool, typer.Option("--restart", help="Throw away an earlier run in RUN.", rich_help_panel=_OUTPUT)
]
Json = Annotated[
    bool,
    typer.Option(
        "--json", help="Print the result as JSON, and nothing else, on stdout.", rich_help_panel=_OUTPUT
    ),
]

Seed = Annotated[
    int,
    typer.Option(min=0, help="Decides splits, initialisation and order.", rich_help_panel=_MACHINE),
]
Threads = Annotated[
    int | None,
    typer.Option(min=1, help="CPU threads.", show_default="as torch chooses", rich_help_panel=_MACHINE),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.", rich_help_panel=_MACHINE)]
Engine = Annotated[
    Literal["auto", "eager", "fused", "half", "compile", "openvino", "onnxruntime"],
    typer.Option(
        help="What computes frozen features: auto is the one that a short calibration finds to be through first, eager "
        "PyTorch as it is.",
        rich_help_panel=_MACHINE,
    ),
]
Cache = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Where computed activations are kept between runs.",
        show_default="your cache folder",
        rich_help_panel=_MACHINE,
    ),
]
CacheLimit = Annotated[
    str,
    typer.Option(
        metavar="SIZE",
        help="Most that the cache may hold, such as 10GB; the oldest go first.",
        rich_help_panel=_MACHINE,
    ),
]

ModelFolder = Annotated[
    Path, typer.Argument(metavar="MODEL", help="A model folder (RUN/model), or the run folder.")
]
BackbonePath = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Where the backbone's folder lies now, if it moved.",
        show_default="where it was",
    ),
]
