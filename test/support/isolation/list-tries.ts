// Prints the table of tries as Markdown.
import { triesAsMarkdown } from "./tries.ts";

process.stdout.write(triesAsMarkdown());
