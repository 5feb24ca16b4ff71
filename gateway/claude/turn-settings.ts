// [A5] In what mode and with what model a process works: as its agent says, or as a turn asks for itself. What the model (by its plan tools)
// or a command changes meanwhile ends with the turn.
import type { AgentConfig } from "../protocol/agents.ts";
import { permissionModes, type PermissionMode } from "../protocol/codes.ts";
import type { Control } from "./control.ts";
import type { CliMessage } from "./messages.ts";

export interface Wanted {
  readonly model?: string | undefined;
  readonly permissionMode?: PermissionMode | undefined;
}

export interface TurnSettings {
  /** Takes what the CLI says of its mode. */
  note(message: CliMessage): void;
  /** The CLI was given a command, which may have changed anything without a word. */
  forget(): void;
  /** Something is, or may be, other than the agent says. */
  readonly isChanged: boolean;
  /** Sets what is other than wanted (by default: what the agent says), and nothing else. Rejects where the CLI refuses, or is gone. */
  set(wanted?: Wanted): Promise<void>;
}

export function createTurnSettings(
  agent: Pick<AgentConfig, "model" | "permission_mode">,
  control: Pick<Control, "setModel" | "setPermissionMode">,
): TurnSettings {
  const usual = { model: agent.model ?? null, mode: agent.permission_mode };
  /** Undefined: not known. */
  let model: string | null | undefined = usual.model;
  let mode: PermissionMode | undefined = usual.mode;
  return {
    note(message) {
      if (message.type !== "system" || !("permissionMode" in message)) return;
      const said = message["permissionMode"];
      // One that Sluice does not know is not what any turn wants. What is no text says nothing.
      if (typeof said === "string" && said !== "unknown") mode = permissionModes.find((one) => one === said);
    },
    forget() {
      model = undefined;
      mode = undefined;
    },
    get isChanged() {
      return model !== usual.model || mode !== usual.mode;
    },
    async set({ model: wantedModel = usual.model, permissionMode: wantedMode = usual.mode } = {}) {
      // Until the CLI has answered, nobody knows.
      if (model !== wantedModel) {
        model = undefined;
        await control.setModel(wantedModel ?? undefined);
        model = wantedModel;
      }
      if (mode !== wantedMode) {
        mode = undefined;
        await control.setPermissionMode(wantedMode);
        mode = wantedMode;
      }
    },
  };
}
