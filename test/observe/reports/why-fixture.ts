import assert from 'node:assert/strict'
import { afterEach, beforeEach, mock } from 'node:test'
import * as v from 'valibot'
import type { Parsed } from '../../../src/lib/parsed.ts'
import { FileProblems } from '../../../src/observe/records/file-problems.ts'
import { HostRecords } from '../../../src/observe/records/hosts.ts'
import { Journal } from '../../../src/observe/records/journal.ts'
import { whyReport } from '../../../src/observe/reports/why.ts'
import { whyText } from '../../../src/observe/why-text.ts'
import { WhyReport } from '../../../src/schemas/why-report.ts'
import { MemoryNode } from '../memory-node.ts'

/** The reports of an in-memory node. Every test of a file gets a new node. */
export class WhyFixture {
  node = new MemoryNode()
  #journal: Journal | undefined
  #hosts: HostRecords | undefined
  #fileProblems: FileProblems | undefined

  constructor() {
    beforeEach(() => {
      // The reports contain ages in seconds, so the clock stands still during a test.
      mock.timers.enable({ apis: ['Date'], now: Date.now() })
      this.node = new MemoryNode()
      this.#journal = new Journal()
      this.#hosts = new HostRecords()
      this.#fileProblems = new FileProblems()
    })
    afterEach(() => {
      this.#journal?.close()
      this.#hosts?.close()
      this.#fileProblems?.close()
      mock.timers.reset()
    })
  }

  report(subject: string): Promise<Parsed<WhyReport>> {
    const [journal, hosts, fileProblems] = [this.#journal, this.#hosts, this.#fileProblems]
    assert.ok(journal !== undefined && hosts !== undefined && fileProblems !== undefined)
    return whyReport(this.node, { journal, hosts, fileProblems }, subject)
  }

  /** Gives the report as a client receives it, and as `agent why` prints it. */
  async why(subject: string): Promise<{ report: WhyReport; text: string }> {
    const report = await this.report(subject)
    assert.ok(report.ok, subject)
    const text = whyText(report.value, Date.now())
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these characters must not occur
    assert.doesNotMatch(text, /[\u0000-\u0009\u000b-\u001f]|undefined|null|NaN/)
    return { report: v.parse(WhyReport, JSON.parse(JSON.stringify(report.value))), text }
  }
}
