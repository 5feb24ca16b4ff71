// Gives a data folder its copy of the CLI, as the user who runs this: such a copy is its owner's alone.
import { linkCliCopy } from "../cli-copy.ts";

await linkCliCopy(process.argv[2]!);
