import { SendSlots } from './answer/send-slots.ts'
import { reportRejection } from './connections/rejections.ts'
import { bodyLimits, type Limits, largeManifestLimits, listLimits, uploadLimits } from './limits.ts'

/** The rights to send a body now, of each kind of body: what this agent sends, and what clients send to it. */
export class Slots {
  readonly bodies: SendSlots
  readonly lists: SendSlots
  readonly uploads: SendSlots
  readonly largeManifests: SendSlots

  constructor(limits: Limits) {
    this.bodies = new SendSlots(bodyLimits(limits), reportRejection)
    this.lists = new SendSlots(listLimits(limits), reportRejection)
    this.uploads = new SendSlots(uploadLimits(limits), reportRejection)
    this.largeManifests = new SendSlots(largeManifestLimits(limits), reportRejection)
  }

  get taken(): number {
    return this.#all().reduce((sum, { taken }) => sum + taken, 0)
  }

  get waiting(): number {
    return this.#all().reduce((sum, { waiting }) => sum + waiting, 0)
  }

  #all(): readonly SendSlots[] {
    return [this.bodies, this.lists, this.uploads, this.largeManifests]
  }
}
