import { plain } from '../observe/text.js'

// The page writes everything as text through these functions, so a name from outside can never become markup.

/**
 * Finds an element of index.html.
 *
 * @param {string} id
 * @returns {HTMLElement}
 */
export function byId(id) {
  const found = document.getElementById(id)
  if (found === null) throw new Error(`index.html has no #${id}`)
  return found
}

/**
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name
 * @param {string} [className]
 * @param {(Node | string)[]} children
 * @returns {HTMLElementTagNameMap[Name]}
 */
export function createElement(name, className = '', ...children) {
  const element = document.createElement(name)
  if (className !== '') element.className = className
  element.append(...children.map((child) => (typeof child === 'string' ? plain(child) : child)))
  return element
}

/**
 * An element whose text has not changed is not touched, so that no screen reader announces it and no selection is lost.
 *
 * @param {HTMLElement} element
 * @param {string} text
 */
export function setText(element, text) {
  const safe = plain(text)
  if (element.textContent !== safe) element.textContent = safe
}

/**
 * Sets the text, and hides the element when the text is empty.
 *
 * @param {HTMLElement} element
 * @param {string} text
 */
export function setOptionalText(element, text) {
  setText(element, text)
  element.hidden = text === ''
}

/**
 * Creates a link to the report on an image or a digest.
 *
 * @param {string} subject
 * @param {string} [text] default: the subject
 */
export function createWhyLink(subject, text = subject) {
  const link = createElement('a', '', text)
  link.href = `#why=${encodeURIComponent(subject)}`
  return link
}

/** @param {string} digest */
export function shortenDigest(digest) {
  const end = digest.indexOf(':') + 1 + 12
  return digest.length > end ? `${digest.slice(0, end)}…` : digest
}

/**
 * Returns a function that shows one child in a list for each item, in the order of the items. The child of an item is
 * created once and then updated, so that focus, selection and the position of a screen reader stay.
 *
 * @template Item
 * @param {HTMLElement} list
 * @param {(item: Item) => string} keyOf
 * @param {(item: Item) => { element: HTMLElement, update: (item: Item) => void }} create
 * @returns {(items: readonly Item[]) => void}
 */
export function createListUpdater(list, keyOf, create) {
  /** @type {Map<string, ReturnType<typeof create>>} */
  const children = new Map()
  return (items) => {
    const keys = new Set(items.map(keyOf))
    for (const [key, { element }] of children) {
      if (keys.has(key)) continue
      element.remove()
      children.delete(key)
    }
    for (const [i, item] of items.entries()) {
      const key = keyOf(item)
      const child = children.get(key) ?? create(item)
      children.set(key, child)
      child.update(item)
      if (list.children[i] !== child.element) list.insertBefore(child.element, list.children[i] ?? null)
    }
  }
}

/**
 * Creates a table row with a header cell and cells of text.
 *
 * @param {Node | string} header
 * @param {readonly string[]} classNames the class of each text cell
 */
export function createRow(header, classNames) {
  const headerCell = createElement('th', '', header)
  headerCell.scope = 'row'
  const cells = classNames.map((className) => createElement('td', className))
  return {
    element: createElement('tr', '', headerCell, ...cells),
    cells,
    /** @param {readonly string[]} texts */
    setTexts(texts) {
      for (const [i, cell] of cells.entries()) setText(cell, texts[i] ?? '')
    },
  }
}
