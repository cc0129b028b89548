/* SPDX-License-Identifier: MIT */
/*
 * privileges.c - setgroups, setgid, setuid, in that order, and a look whether it took.
 */
#include "privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static bool become(uid_t uid, gid_t gid, const char *user, FILE *out)
{
	int result = user != NULL ? initgroups(user, gid) : setgroups(1, &gid);

	if (result < 0 || setresgid(gid, gid, gid) < 0 ||
	    (user != NULL && setresuid(uid, uid, uid) < 0)) {
		fprintf(out,
			"cannot become user %s: %s; start as root, or leave user and group unset\n",
			user != NULL ? user : "(unchanged)", strerror(errno));
		return false;
	}
	/* There must be no way back. */
	if (user != NULL && uid != 0 && setuid(0) == 0) {
		fprintf(out, "became %s but could become root again\n", user);
		return false;
	}
	return true;
}

bool privileges_drop(const struct conf_proxy *proxy, FILE *out)
{
	struct passwd *passwd = NULL;
	struct group *group = NULL;
	uid_t uid = getuid();
	gid_t gid = getgid();

	if (proxy->user != NULL) {
		passwd = getpwnam(proxy->user);
		if (passwd == NULL) {
			fprintf(out, "there is no user %s\n", proxy->user);
			return false;
		}
		uid = passwd->pw_uid;
		gid = passwd->pw_gid;
	}
	if (proxy->group != NULL) {
		group = getgrnam(proxy->group);
		if (group == NULL) {
			fprintf(out, "there is no group %s\n", proxy->group);
			return false;
		}
		gid = group->gr_gid;
	}
	if ((passwd != NULL || group != NULL) && !(uid == getuid() && gid == getgid()) &&
	    !become(uid, gid, proxy->user, out))
		return false;
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return true;
}
