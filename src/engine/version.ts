/** The programme's version, as infotexts and `--help` give it. */
export const version = "0.2.0";
