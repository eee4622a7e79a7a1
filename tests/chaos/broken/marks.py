"""What a page says to kill its parser, by how it does so."""

MARKS = {
    "segfault": "ends-its-parser-by-a-segmentation-fault",
    "memory": "takes-more-memory-than-there-is",
    "loop": "is-never-done",
}
