import { parseJson } from '../../lib/json.ts'
import { plain } from '../text.ts'

const COLORS: Readonly<Record<string, string>> = {
  trace: '\u001b[90m',
  debug: '\u001b[36m',
  info: '\u001b[32m',
  warn: '\u001b[33m',
  error: '\u001b[31m',
  fatal: '\u001b[31m',
}
const DIM = '\u001b[2m'
const RESET = '\u001b[0m'
/** A longer value is cut: a line on a terminal is read by people. */
const LONGEST_VALUE = 120

/** Turns a JSON line of the log into a line for people: `10:00:00 WARN  what happened  image=… status=502`. */
export function prettyLine(json: string, { hasColor }: { hasColor: boolean }): string {
  const line = parseJson(json)
  if (typeof line !== 'object' || line === null) return json
  const { level = '', time = '', message = '', ...fields } = line as Record<string, unknown>
  const color = (code: string, text: string): string => (hasColor ? `${code}${text}${RESET}` : text)
  const name = color(COLORS[String(level)] ?? '', String(level).toUpperCase().padEnd(5))
  const pairs = Object.entries(fields)
    .filter(([, value]) => value !== undefined && value !== null)
    .map(([key, value]) => `${color(DIM, `${plain(key)}=`)}${valueText(value)}`)
  return `${[`${clockText(String(time))} ${name} ${plain(String(message))}`, ...pairs].join('  ')}\n`
}

function clockText(time: string): string {
  const date = new Date(time)
  if (Number.isNaN(date.getTime())) return '--:--:--'
  return [date.getHours(), date.getMinutes(), date.getSeconds()]
    .map((part) => String(part).padStart(2, '0'))
    .join(':')
}

function valueText(value: unknown): string {
  const text = plain(typeof value === 'string' ? value : JSON.stringify(value))
  const short = text.length > LONGEST_VALUE ? `${text.slice(0, LONGEST_VALUE)}…` : text
  return typeof value === 'string' && /[\s"=]/.test(short) ? JSON.stringify(short) : short
}
