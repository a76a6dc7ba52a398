/** The fields of the memory that the main thread and the watchdog's thread share, as indices of an Int32Array. */
export const BEATS = 0
/** 1 while a debugger may stop the main thread. */
export const IS_DEBUGGED = 1
/** 1 when the thread has to end. The thread waits for a change of this field. */
export const IS_STOPPED = 2
export const FIELDS = 3

/** What the thread gets when it starts. */
export interface WatchdogData {
  readonly memory: SharedArrayBuffer
  /** The number of the main thread. */
  readonly thread: number
  /** How much time the main thread may have without a beat. */
  readonly hangsMs: number
  readonly tickMs: number
  /** The line that the thread writes to stderr before it ends the process. */
  readonly lastLine: string
}
