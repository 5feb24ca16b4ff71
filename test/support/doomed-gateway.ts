// A process of its own that drives the real CLI into a Bash tool and waits to be killed. It says where everything is on its stdout.
import { openScene } from "./real-cli.ts";

const scene = await openScene();
const driven = await scene.drive({ agent: { allowed_tools: ["Bash"] } });
driven.begin(`demo:tool Bash {"command":"sleep 600"}`);
process.stdout.write(`${JSON.stringify({ folder: scene.folder, runFolder: scene.runFolder })}\n`);
