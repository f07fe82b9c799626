/* version_report: which bulla this is and where it runs, for bug reports. */
#ifndef BULLA_CMD_VERSION_REPORT_H
#define BULLA_CMD_VERSION_REPORT_H

/* report_version prints the version, the libraries and the key stores. */
void version_report(void);

/* version_report_all prints that and the set-up of the host: nothing that is secret, no value of a
 * variable and no content of a file of the user's. */
void version_report_all(void);

#endif
