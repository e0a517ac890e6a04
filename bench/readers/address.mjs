/** The address to which a reader connects, whose line it is. @param {number} reader */
export function addressOf(reader) {
  return `127.1.${reader >> 8}.${reader & 255}`;
}
