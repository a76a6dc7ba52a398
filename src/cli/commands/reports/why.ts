import { whyText } from '../../../observe/why-text.ts'
import { WhyReport } from '../../../schemas/why-report.ts'
import { adminFlags, adminTarget } from '../../context/admin-target.ts'
import { callApi } from '../../context/client.ts'
import { type Command, JSON_FLAG } from '../../context/command.ts'
import { givenSettings } from '../../context/settings.ts'

/** `agent why REF-or-DIGEST`. */
export const why: Command = {
  positionals: [
    { name: 'image-or-digest', help: 'an image such as alpine:3.20 or ghcr.io/acme/app, or a digest' },
  ],
  flags: [...adminFlags(), JSON_FLAG],
  examples: [
    { line: 'agent why alpine:3.20', what: 'explain a tag: its record, its parts, the last requests for it' },
    { line: 'agent why sha256:4bcf…', what: 'explain a manifest or a blob by its digest' },
  ],
  async run(given, terminal) {
    const admin = await adminTarget(givenSettings(given, terminal))
    const [subject = ''] = given.positionals
    const path = `/api/v1/why?subject=${encodeURIComponent(subject)}`
    const report = await callApi(admin, { method: 'GET', path }, WhyReport)
    await terminal.out(
      given.switches.has('json') ? `${JSON.stringify(report, undefined, 2)}\n` : whyText(report, Date.now()),
    )
    return 0
  },
}
