// A process of its own that opens the data folder it is given, says so, and holds it until it is killed or its stdin ends.
import { openDataFolder } from "../../gateway/data-folder.ts";

const folder = openDataFolder(process.argv[2]!);
folder.announce("http://127.0.0.1:1");
process.stdout.write("held\n");
process.stdin.on("end", () => folder.release()).resume();
