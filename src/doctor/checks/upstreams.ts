import { plain } from '../../observe/text.ts'
import type { HostExamination } from '../../upstream/examine.ts'
import { type Finding, notLookedAt, ok, problem, warning } from '../tools/finding.ts'

const SCARCE = 0.1

export function judgeUpstreams(hosts: readonly HostExamination[]): readonly Finding[] {
  return hosts.flatMap((host) => {
    const others = hosts.filter(({ namespace }) => namespace === host.namespace && host.isConfigured)
    return judgeHost(host, { hasAnother: others.some((other) => other !== host && answers(other)) })
  })
}

function answers({ status }: HostExamination): boolean {
  return status === 200 || status === 401
}

function judgeHost(host: HostExamination, { hasAnother }: { hasAnother: boolean }): readonly Finding[] {
  if (!answers(host)) return [judgeSilence(host, hasAnother)]
  return [judgeCredentials(host), ...judgeQuota(host)]
}

function judgeSilence(
  { namespace, host, url, status, why, isConfigured }: HostExamination,
  hasAnother: boolean,
): Finding {
  const name = nameOf(namespace, host)
  const what =
    status === undefined ? `does not answer: ${plain(why ?? 'no answer')}` : `answers ${status} to /v2/`
  const more = {
    means: hasAnother
      ? 'the other hosts of this registry are asked instead'
      : 'of its images only what is cached here, or at peers, can be pulled through the agent',
    todo: `see what this node gets from it: curl -v ${url} (name resolution, firewall, HTTPS_PROXY, caFile)`,
  }
  const found = `${name} ${what}`
  return isConfigured && !hasAnother ? problem(found, more) : warning(found, more)
}

function judgeCredentials({ namespace, host, credentialCheck, why, isConfigured }: HostExamination): Finding {
  const name = nameOf(namespace, host)
  const because = why === undefined ? '' : `: ${plain(why)}`
  switch (credentialCheck) {
    case 'open':
      return ok(`${name} answers, and asks for no credentials`)
    case 'anonymous':
      return ok(`${name} answers, and lets in without credentials`)
    case 'accepted':
      return ok(`${name} answers, and accepts the credentials`)
    case 'refused':
      return problem(`${name} refuses the credentials${because}`, {
        means: 'private images cannot be pulled through the agent, and public ones perhaps neither',
        todo: `put right what the settings have for ${namespace}: username, password, passwordFile or dockerConfig`,
      })
    case 'wanted':
      return warning(`${name} lets nobody in without credentials, and none are set${because}`, {
        means: 'its images go past the agent: runtimes pull them with credentials of their own',
        todo: `give ${namespace} credentials under upstreams${isConfigured ? '' : ' (and an entry)'}`,
      })
    case 'unknown':
      return isNotAllowed(why)
        ? notLookedAt(`${name} answers, but this user may not read the credentials${because}`, AS_ROOT)
        : problem(`${name} answers, but no access was got${because}`, {
            means: 'of its images only what is cached here, or at peers, can be pulled through the agent',
            todo: 'see whether the file with the credentials can be read and the token service be reached',
          })
  }
}

const AS_ROOT = 'run it as root, or as the agent’s user'

function isNotAllowed(why: string | undefined): boolean {
  return why?.endsWith('EACCES') === true
}

function judgeQuota({ namespace, host, quota, credentialCheck }: HostExamination): readonly Finding[] {
  if (quota === undefined) return []
  const { remaining, limit, windowSeconds } = quota
  const name = nameOf(namespace, host)
  const of = limit === undefined ? '' : ` of ${limit}`
  const per = windowSeconds === undefined ? '' : ` in ${Math.round(windowSeconds / 60)} minutes`
  const found = `${name} allows ${remaining}${of} pulls more${per}`
  const more = {
    means:
      'after that it answers 429 until the time is over; tags and images that are cached are still served',
    todo:
      credentialCheck === 'accepted'
        ? 'spread the pulls, or raise the plan'
        : 'give credentials under upstreams: with them more is allowed',
  }
  if (remaining === 0) return [problem(found, more)]
  if (limit !== undefined && remaining < limit * SCARCE) return [warning(found, more)]
  return [ok(found)]
}

function nameOf(namespace: string, host: string): string {
  return namespace === host ? namespace : `${namespace} (${host})`
}
