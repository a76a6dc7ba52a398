import { close, fdatasync, fstat, ftruncate, open, read, type Stats, write } from 'node:fs'
import { FILE_MODE } from './layout.ts'

/**
 * A file descriptor that is closed only when no call uses it. The number of a descriptor that is closed too early soon belongs
 * to another file, and a late read would return that file's bytes.
 */
export class OpenFile {
  readonly fd: number
  #callsUnderWay = 0
  #closing: Promise<void> | undefined
  #onLastCallDone: (() => void) | undefined

  constructor(fd: number) {
    this.fd = fd
  }

  static open(path: string, flags: number): Promise<OpenFile> {
    return new Promise((resolve, reject) => {
      open(path, flags, FILE_MODE, (error, fd) => {
        if (error === null) resolve(new OpenFile(fd))
        else reject(error)
      })
    })
  }

  stat(): Promise<Stats> {
    return this.#call((done) => fstat(this.fd, done))
  }

  read(target: Uint8Array, position: number): Promise<number> {
    return this.#call((done) => read(this.fd, target, 0, target.length, position, done))
  }

  /** Writes all bytes at `position`. */
  async write(bytes: Uint8Array, position: number): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const rest = bytes.length - done
      done += await this.#call<number>((cb) => write(this.fd, bytes, done, rest, position + done, cb))
    }
  }

  async truncate(length: number): Promise<void> {
    await this.#call<undefined>((done) => ftruncate(this.fd, length, (error) => done(error, undefined)))
  }

  /** Makes what was written durable. */
  async sync(): Promise<void> {
    await this.#call<undefined>((done) => fdatasync(this.fd, (error) => done(error, undefined)))
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  #call<Result>(
    call: (done: (error: NodeJS.ErrnoException | null, result: Result) => void) => void,
  ): Promise<Result> {
    return new Promise((resolve, reject) => {
      if (this.#closing !== undefined) {
        reject(new Error('the file is closed'))
        return
      }
      this.#callsUnderWay += 1
      call((error, result) => {
        this.#callsUnderWay -= 1
        if (this.#callsUnderWay === 0) this.#onLastCallDone?.()
        if (error === null) resolve(result)
        else reject(error)
      })
    })
  }

  async #close(): Promise<void> {
    if (this.#callsUnderWay > 0) {
      await new Promise<void>((resolve) => {
        this.#onLastCallDone = resolve
      })
    }
    await new Promise<void>((resolve, reject) => {
      close(this.fd, (error) => (error ? reject(error) : resolve()))
    })
  }
}
