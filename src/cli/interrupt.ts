export interface Interrupt {
  /** Ctrl-C (or SIGTERM) was pressed, or nobody can be told anything more: finish the step, save and end. */
  readonly asked: boolean;
  /** Puts the default behaviour back. */
  release(): void;
}

/** 128 and the signal's number, by which a shell knows that a program was stopped. */
const CODES = { SIGINT: 130, SIGTERM: 143 } as const;
let asked: keyof typeof CODES | null = null;
let isOutputLost = false;

/** Says that a run ended before its end: prints the line and gives the process the exit code of the signal that asked for it. */
export function stopped(line: string): void {
  if (isOutputLost) console.error(`deft: ${line}`);
  else console.log(line);
  if (asked) process.exitCode = CODES[asked];
}

/** Standard output cannot be written: says so once, asks loops for an orderly end and has the process end with 1. */
export function loseOutput(code: string): void {
  if (isOutputLost) return;
  isOutputLost = true;
  process.exitCode = 1;
  console.error(
    `deft: standard output: cannot be written (${code}); make room there, or send it to another place`,
  );
}

/** The first Ctrl-C asks for an orderly end, a second one ends the process at once. */
export function onInterrupt(): Interrupt {
  asked = null;
  const handler = (signal: keyof typeof CODES): void => {
    if (asked) process.exit(CODES[signal]);
    asked = signal;
    console.log("\nstopping after this step; press Ctrl-C again to stop at once");
  };
  process.on("SIGINT", handler);
  process.on("SIGTERM", handler);
  return {
    get asked() {
      return asked !== null || isOutputLost;
    },
    release() {
      process.off("SIGINT", handler);
      process.off("SIGTERM", handler);
    },
  };
}
