"""What the programs that train on images take."""


def add_arguments(parser):
    parser.add_argument("--list", required=True, help="lines of label, a blank, and the image's file")
    parser.add_argument("--statistics", choices=["frozen", "batch"], default="frozen",
                        help="of batch normalisation")
    parser.add_argument("--width", type=float, default=0.35)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cache-mb", type=int, default=0, help="0: decode for each run")
    return parser


def read_list(name):
    """Files and labels."""
    with open(name) as file:
        lines = [line.rstrip("\n").split(" ", 1) for line in file]
    return [path for _, path in lines], [int(label) for label, _ in lines]
