import type { ByteRange } from '../../../oci/range.ts'
import type { BytesAhead, Incoming } from '../../../ports/blob-store.ts'
import type { Intake } from '../../../ports/source.ts'
import type { AheadRoom } from './ahead-room.ts'

/** The bytes ahead of one flight, while there are some. */
export class KeptAhead {
  readonly #incoming: Incoming
  readonly #room: AheadRoom
  #file: BytesAhead | undefined
  #isBroken = false

  constructor(incoming: Incoming, room: AheadRoom) {
    this.#incoming = incoming
    this.#room = room
  }

  /** The disk does not take bytes ahead, or does not give them back. */
  get isBroken(): boolean {
    return this.#isBroken
  }

  /** undefined: the disk does not take bytes ahead. */
  async open(): Promise<BytesAhead | undefined> {
    try {
      this.#file ??= await this.#incoming.openAhead()
    } catch {
      this.#isBroken = true
      return undefined
    }
    this.#room.add(this.#file)
    return this.#file
  }

  /** Where the bytes end that are here from `position` on without a gap; `position` if its byte is not here. */
  endFrom(position: number): number {
    return this.#file?.endFrom(position) ?? position
  }

  /** Whether bytes of the range are missing that do not lie before `position`. */
  isMissing({ start, end }: ByteRange, position: number): boolean {
    for (let at = Math.max(start, position); at < end; ) {
      const to = this.endFrom(at)
      if (to <= at) return true
      at = to
    }
    return false
  }

  discardBefore(position: number): void {
    this.#file?.discardBefore(position)
  }

  /** Reads bytes. Gives 0 when they are not here; `broken` when they are and the disk does not give them. */
  async read(target: Uint8Array, position: number): Promise<number | 'broken'> {
    const file = this.#file
    const count = (await file?.read(target, position)) ?? 0
    const isLost =
      count === 0 && file !== undefined && file === this.#file && file.endFrom(position) > position
    return isLost ? 'broken' : count
  }

  /** Gives the intake the bytes that are here from its position on. Calls `onBytes` before it gets each of them. */
  async moveTo(
    intake: Intake,
    size: number,
    { onBytes }: { onBytes: (count: number) => void },
  ): Promise<'moved' | 'nothing' | 'broken'> {
    const end = Math.min(size, this.endFrom(intake.position))
    if (end <= intake.position) return 'nothing'
    intake.expect({ size, mediaType: undefined })
    while (intake.position < end) {
      const room = intake.buffer().subarray(0, end - intake.position)
      const count = (await this.#file?.read(room, intake.position)) ?? 0
      if (count === 0) return 'broken'
      onBytes(count)
      if (!intake.filled(count) && intake.position < size) await intake.drained()
    }
    return 'moved'
  }

  /** Forgets all bytes. */
  async forget(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    if (file !== undefined) this.#room.remove(file)
    await file?.close()
  }

  /** No bytes are taken any more, because the disk does not give them back. */
  giveUp(): void {
    this.#isBroken = true
  }
}
