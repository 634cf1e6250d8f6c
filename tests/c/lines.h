/* Reads the lines of to_lines.py: a kind, then name=value pairs. */

#ifndef LINES_H
#define LINES_H

#include "test.h"

/* Bytes with a NUL behind, which is not counted. */
typedef struct {
    char *data;
    size_t len;
} bytes;

typedef struct {
    char *text;   /* the whole line, cut into tokens by NUL bytes */
    char **token; /* token[0] is the kind */
    size_t tokens;
    size_t next; /* where read_pair goes on */
} line;

static inline void give_up(const char *problem, const char *what)
{
    fprintf(stderr, "lines: %s: %s\n", problem, what);
    exit(1);
}

static inline void *room(size_t size)
{
    void *place = malloc(size);
    if (place == NULL)
        give_up("out of memory", "");
    return place;
}

static inline void free_line(line *l)
{
    free(l->text);
    free((void *)l->token);
    memset(l, 0, sizeof *l);
}

/* The next line, or false at the end. */
static inline bool read_line(FILE *file, line *l)
{
    size_t size = 256, len = 0, spaces = 1, at;
    int c;
    memset(l, 0, sizeof *l);
    l->text = (char *)room(size);
    while ((c = fgetc(file)) != EOF && c != '\n') {
        if (len + 1 == size) {
            char *larger = (char *)realloc(l->text, size *= 2);
            if (larger == NULL)
                give_up("out of memory", "");
            l->text = larger;
        }
        spaces += c == ' ';
        l->text[len++] = (char)c;
    }
    l->text[len] = '\0';
    if (len == 0) {
        free_line(l);
        return false;
    }
    l->token = (char **)room(spaces * sizeof *l->token);
    l->token[l->tokens++] = l->text;
    for (at = 0; at < len; at++) {
        if (l->text[at] == ' ') {
            l->text[at] = '\0';
            l->token[l->tokens++] = l->text + at + 1;
        }
    }
    l->next = 1;
    return true;
}

/* The next pair; false when there is none. */
static inline bool read_pair(line *l, const char **name, const char **value)
{
    char *equals;
    if (l->next == l->tokens)
        return false;
    *name = l->token[l->next++];
    equals = strchr((char *)*name, '=');
    if (equals == NULL)
        give_up("not a pair", *name);
    *equals = '\0';
    *value = equals + 1;
    return true;
}

/* The value of the next pair, which must have this name. */
static inline const char *expect_pair(line *l, const char *name)
{
    const char *found = "", *value = "";
    if (!read_pair(l, &found, &value) || strcmp(found, name) != 0)
        give_up("missing, or out of order", name);
    return value;
}

static inline uint64_t as_number(const char *value)
{
    char *end;
    uint64_t number = strtoull(value, &end, 10);
    if (*value == '\0' || *end != '\0')
        give_up("not a number", value);
    return number;
}

static inline int digit(char c)
{
    const char *digits = "0123456789abcdef", *found = c ? strchr(digits, c) : NULL;
    if (found == NULL)
        give_up("not hexadecimal", "");
    return found == NULL ? 0 : (int)(found - digits);
}

static inline bytes as_bytes(const char *value)
{
    bytes b;
    size_t at;
    b.len = strlen(value) / 2;
    b.data = (char *)room(b.len + 1);
    for (at = 0; at < b.len; at++)
        b.data[at] = (char)(digit(value[2 * at]) * 16 + digit(value[2 * at + 1]));
    b.data[b.len] = '\0';
    return b;
}

#endif
