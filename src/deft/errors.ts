/**
 * A failure that the user can cause and mend: a wrong option, a missing file, a damaged picture.
 * The message is one clear line, `thing: fact; got ...; expected ...; do ...`; the command line prints it
 * without a stack trace.
 */
export class UserError extends Error {
  override readonly name: string = "UserError";
}
