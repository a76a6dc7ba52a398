/** Types of the part that this project uses of a package that comes without types. */
declare module 'bcrypt' {
  /** Computes in the thread pool. */
  export function compare(password: Buffer, hash: string): Promise<boolean>
  export function hash(password: string, cost: number): Promise<string>
}
