/** The order of the traces last listed, so that the trace page can step to the next. */
export function orderKey(project: string): string[] {
  return [project, "trace-order"];
}
