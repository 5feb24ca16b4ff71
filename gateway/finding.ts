// What one check of `sluice doctor` has found.

export interface Finding {
  readonly what: string;
  readonly isWell: boolean;
  /** Nothing that keeps the gateway from its work, but something to know. */
  readonly isWarning?: boolean;
  readonly found: string;
  readonly mend?: string;
}
