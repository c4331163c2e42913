"""Operations on texts, booleans and ISO dates, and on any value; the format is explained in `scripts.curriculum`."""

OPERATIONS = r"""
read X:any
{current,get,show,read,present,actual,see,view,tell,fetch}_X X_{value,now} {value_of,what_is,content_of,give_me,look_at}_X the_X
X as it is
    return self.X

change X:text value:text
{set,assign,change,update,replace,put,make,overwrite,store,fix}_X {set,change,update}_X_to
puts value into X -> the new value
    self.X = value
    return self.X

change X:text new:text
{rename,retitle,relabel,call,recall}_X {rename,retitle,relabel}_X_{to,as} {new,give_new,give}_X
puts new into X -> the new value
    self.X = new
    return self.X

change X:text
{reset,clear,empty,erase,blank,wipe,delete,blank_out}_X
empties X -> the new value
    self.X = ''
    return self.X

change X:text
{reverse,flip,turn_around,mirror,invert}_X turn_X_around
turns the letters of X round -> the new value
    self.X = self.X[::-1]
    return self.X

change X:text
{upcase,shout,make_upper}_X {make,turn,change,convert,put}_X_{upper,uppercase,to_upper,to_uppercase,into_upper_case} make_X_{loud,big}
puts X in capitals -> the new value
    self.X = self.X.upper()
    return self.X

change X:text
{downcase,make_lower}_X {make,turn,change,convert,put}_X_{lower,lowercase,to_lower,to_lowercase,into_lower_case}
puts X in small letters -> the new value
    self.X = self.X.lower()
    return self.X

change X:text
{capitalize,capitalise}_X make_X_capitalized
gives X a capital first letter -> the new value
    self.X = self.X.capitalize()
    return self.X

change X:text
{strip,trim,clean,tidy,clean_up,tidy_up}_X {strip,trim}_spaces_{of,from}_X
takes the blanks off both ends of X -> the new value
    self.X = self.X.strip()
    return self.X

change X:text
{double,duplicate,repeat}_X write_X_twice
writes X twice -> the new value
    self.X *= 2
    return self.X

change X:text times:small
{repeat,multiply}_X repeat_X_times
writes X several times -> the new value
    self.X *= times
    return self.X

change X:text text:text
{append,add}_{to_X,X} {extend,suffix,continue,lengthen}_X {extend,continue,suffix}_X_{with,by} {write,attach}_to_X put_at_end_of_X
puts text at the end of X -> the new value
    self.X += text
    return self.X

change X:text text:text
{prepend}_{to_X,X} {prefix}_X prefix_X_with put_{before,in_front_of}_X put_at_start_of_X begin_X_with
puts text in front of X -> the new value
    self.X = text + self.X
    return self.X

change X:text old_text:part new_text:text
{replace,substitute,exchange,swap}_in_X {replace,substitute}_{text_in,word_in,letters_in,part_of}_X
puts new_text in X wherever old_text stands -> the new value
    self.X = self.X.replace(old_text, new_text)
    return self.X

change X:text text:part
{remove,delete,erase,cut,strip,drop}_from_X {remove,delete,erase,strip}_X cut_out_of_X
takes text out of X ! X has no such part -> the new value
    if text not in self.X:
        raise ValueError('X has no such text')
    self.X = self.X.replace(text, '')
    return self.X

change X:text size:small
{truncate,shorten,cut,crop,trim,limit,clip}_X {truncate,shorten,cut,trim,crop,limit}_X_to cap_X_at
keeps the first letters of X -> the new value
    self.X = self.X[:size]
    return self.X

change X:text
{titlecase}_X make_X_{title,a_title} {make,turn,put}_X_into_title_case
gives every word of X a capital -> the new value
    self.X = self.X.title()
    return self.X

read X:text
{upper,uppercase,uppercased,loud,shouted,capital,upcased}_X X_{upper,uppercase,uppercased,in_upper_case,in_capitals,shouted,upcased}
X in capitals
    return self.X.upper()

read X:text
{lower,lowercase,lowercased,small,quiet,downcased}_X X_{lower,lowercase,lowercased,in_lower_case,downcased}
X in small letters
    return self.X.lower()

read X:text
{capitalized,capitalised}_X X_{capitalized,capitalised}
X with a capital first letter
    return self.X.capitalize()

read X:text
{title,titled,titlecased}_X X_{as_title,titled,in_title_case,titlecased}
X with a capital at every word
    return self.X.title()

read X:text
{reversed,backward,backwards,mirrored,inverted,flipped}_X X_{reversed,backwards,backward,mirrored,in_reverse,flipped} reverse_of_X
X from back to front
    return self.X[::-1]

read X:text
{stripped,trimmed,cleaned}_X X_{stripped,trimmed,cleaned}
X without blanks at its ends
    return self.X.strip()

read X:text
{doubled,duplicated,twice}_X X_{doubled,twice,duplicated}
X twice
    return self.X * 2

read X:text times:small
{repeated}_X X_{repeated,times} repeated_X_times
X several times
    return self.X * times

read X:text
X_{length,size,letters_count,len} {length_of,size_of,letter_count_of,number_of_letters_in,number_of_characters_in,how_long_is,count_letters_in,letters_in,characters_in,len_of}_X {count}_X X_{character_count,letter_count}
how many letters X has
    return len(self.X)

read X:text
words_{of,from}_X X_{words,split,as_words,word_list} {split,separated,tokenized}_X list_of_words_in_X
the words of X
    return self.X.split()

read X:text
X_{word_count,words_count,number_of_words} {words_in,word_count_of,number_of_words_in,count_words_in,how_many_words_in,word_count_in,count_words_of,count_of_words_in}_X count_X_words
how many words X has
    return len(self.X.split())

read X:text
{letters_of,characters_of}_X X_{letters,characters}
the letters of X
    return list(self.X)

read X:text ! X has no words
{first_word_of,first_word_in,first_word_from}_X X_first_word
the first word of X
    if not self.X.split():
        raise ValueError('X has no words')
    return self.X.split()[0]

read X:text ! X has no words
{last_word_of,last_word_in,last_word_from}_X X_last_word
the last word of X
    if not self.X.split():
        raise ValueError('X has no words')
    return self.X.split()[-1]

read X:text ! X has no words
{longest_word_of,longest_word_in}_X X_longest_word
the longest word of X
    if not self.X.split():
        raise ValueError('X has no words')
    return max(self.X.split(), key=len)

read X:text ! X has no words
{shortest_word_of,shortest_word_in}_X X_shortest_word
the shortest word of X
    if not self.X.split():
        raise ValueError('X has no words')
    return min(self.X.split(), key=len)

read X:text
{sorted_words_of,sorted_words_in}_X X_{words_sorted,sorted_words}
the words of X in order
    return sorted(self.X.split())

read X:text
{unique_words_of,unique_words_in,distinct_words_in}_X X_{unique_words,distinct_words}
the words of X, each once
    return list(dict.fromkeys(self.X.split()))

read X:text
{reversed_words_of,reversed_words_in}_X X_{words_reversed,with_words_reversed}
X with its words from back to front
    return ' '.join(reversed(self.X.split()))

read X:text
{word_lengths_of,word_lengths_in,lengths_of_words_in}_X X_word_lengths
how long the words of X are
    return [len(word) for word in self.X.split()]

read X:text ! X is empty
{first_letter_of,first_character_of,initial_of,first}_X X_{first_letter,initial} start_of_X
the first letter of X
    if not self.X:
        raise ValueError('X is empty')
    return self.X[0]

read X:text ! X is empty
{last_letter_of,last_character_of,last}_X X_last_letter end_of_X
the last letter of X
    if not self.X:
        raise ValueError('X is empty')
    return self.X[-1]

read X:text size:small
{first_letters_of,beginning_of,start_of,first}_X X_{start,beginning,first_letters,truncated,shortened,cut_to} {truncated,shortened}_X
the first letters of X
    return self.X[:size]

read X:text size:posint
{last_letters_of,ending_of,end_of,last}_X X_{ending,end,last_letters}
the last letters of X
    return self.X[-size:]

read X:text
{initials_of,initials}_X X_initials
the first letters of the words of X
    return ''.join((word[0] for word in self.X.split()))

read X:text
{sorted_letters_of,sorted_letters_in}_X X_{letters_sorted,sorted_letters}
the letters of X in order
    return sorted(self.X)

read X:text
{vowels_in,vowel_count_of,count_vowels_in,number_of_vowels_in,how_many_vowels_in}_X X_{vowels,vowel_count}
how many vowels X has
    return sum((letter in 'aeiou' for letter in self.X.lower()))

read X:text
{digits_of}_X X_digits
the digits of X
    return ''.join((letter for letter in self.X if letter.isdigit()))

read X:text
{letter_counts_of,letter_counts_in,letter_frequencies_in,letter_frequency_of}_X X_{letter_counts,letter_frequencies}
how often each letter stands in X
    return {letter: self.X.count(letter) for letter in self.X}

read X:text
{word_counts_of,word_counts_in,word_frequencies_in,word_frequency_of}_X X_{word_counts,word_frequencies}
how often each word stands in X
    return {word: self.X.split().count(word) for word in self.X.split()}

read X:text text:part
{count_in,occurrences_in,times_in,count_of_text_in,how_often_in,count}_X X_{count_of,occurrences_of,count}
how often text stands in X
    return self.X.count(text)

read X:text
{lines_of}_X X_lines
the lines of X
    return self.X.splitlines()

read X:text
{lines_in,number_of_lines_in,line_count_of,count_lines_in,how_many_lines_in}_X X_line_count
how many lines X has
    return len(self.X.splitlines())

read X:text
{snake_cased,slug_of,slug}_X X_{as_slug,slug,slugified,in_snake_case}
X in small letters with underscores for blanks
    return '_'.join(self.X.lower().split())

read X:text old_text:part new_text:text
{replaced}_X X_{with_replaced,replacing,with}
X with new_text wherever old_text stands
    return self.X.replace(old_text, new_text)

read X:text text:part
X_{without,minus,without_text} 
X without text
    return self.X.replace(text, '')

read X:text text:text
X_{plus,followed_by,with_suffix,and,extended_with} {suffixed,extended}_X
X and then text
    return self.X + text

read X:text text:text
X_{with_prefix,preceded_by,prefixed_with} {prefixed}_X
text and then X
    return text + self.X

read X:text width:int
{centered,centred}_X X_{centered,centred}
X in the middle of width blanks
    return self.X.center(width)

read X:text separator:part
{split,parts_of}_X X_{split_by,split_at,parts,split} parts_of_X_by
the parts of X between separators
    return self.X.split(separator)

read X:text text:part ! X has no such part
{position_in,index_in,place_in,where_in}_X X_{position_of,index_of,place_of}
where text stands in X
    if text not in self.X:
        raise ValueError('X has no such text')
    return self.X.index(text)

read X:text
{without_spaces,spaceless,compact}_X X_{without_spaces,without_blanks,compacted}
X without blanks
    return self.X.replace(' ', '')

read X:text
{without_vowels}_X X_without_vowels
X without vowels
    return ''.join((letter for letter in self.X if letter.lower() not in 'aeiou'))

read X:text
{swapped_case_of,case_swapped}_X X_with_case_swapped X_swapped_case
X with small and capital letters exchanged
    return self.X.swapcase()

read X:text
{quoted,in_quotes}_X X_{quoted,in_quotes}
X in quotation marks
    return f'"{self.X}"'

ask X:text text:part
{has,does_X_contain,contains,is_in,includes}_X X_{contains,has,includes,mentions} does_X_{contain,have,include,mention} {is_text_in,is_there_in}_X
X has text in it
    return text in self.X

ask X:text text:part
X_{starts_with,begins_with,opens_with} does_X_{start_with,begin_with} {starts,begins}_X_with is_prefix_of_X
X begins with text
    return self.X.startswith(text)

ask X:text text:part
X_{ends_with,ends_in} does_X_{end_with,end_in} {ends}_X_with is_suffix_of_X
X ends with text
    return self.X.endswith(text)

ask X:text value:text
is_X X_{equals,is,is_equal_to,same_as,matches} is_X_{equal_to,the_same_as,exactly,equal} does_X_{equal,match}
X is value
    return self.X == value

ask X:text value:text
is_X_{not,different_from,other_than,unlike} X_{differs_from,is_not} does_X_differ_from
X is not value
    return self.X != value

ask X:text
is_X_{empty,blank,missing,unset} X_{is_empty,empty,is_blank} {has_no,no}_X
X is empty
    return not self.X

ask X:text
{has,has_any,is_there}_X is_X_{set,given,there,present} X_{is_set,given,present}
X is not empty
    return bool(self.X)

ask X:text
is_X_{a_palindrome,palindrome,palindromic,symmetric} X_is_palindrome
X reads the same from both ends
    return self.X == self.X[::-1]

ask X:text
is_X_{upper,uppercase,in_capitals,all_upper,loud} X_is_upper
X is in capitals
    return self.X.isupper()

ask X:text
is_X_{lower,lowercase,all_lower} X_is_lower
X is in small letters
    return self.X.islower()

ask X:text
is_X_{numeric,a_number,digits,all_digits,only_digits} X_is_{numeric,number}
X is all digits
    return self.X.isdigit()

ask X:text
is_X_{alphabetic,letters,only_letters,all_letters} X_is_alphabetic
X is all letters
    return self.X.isalpha()

ask X:text limit:small
is_X_{longer_than,above,over} X_{longer_than,is_longer_than}
X has more letters than limit
    return len(self.X) > limit

ask X:text limit:small
is_X_{shorter_than,below,under} X_{shorter_than,is_shorter_than}
X has fewer letters than limit
    return len(self.X) < limit

read X:text Y:text
{joined,combined,full,concatenated}_X_{and_Y,Y} X_{and_Y,with_Y,Y}_{joined,together,combined,text} X_then_Y X_and_Y {concatenation_of,combination_of}_X_and_Y X_plus_Y
X and Y with a blank between
    return f'{self.X} {self.Y}'

change X:text Y:text
{append,add,attach}_X_to_Y {extend,continue}_Y_{with,by}_X
puts X at the end of Y -> the new value of Y
    self.Y += self.X
    return self.Y

ask X:text Y:text
is_X_{in,part_of,inside,contained_in}_Y does_Y_{contain,have,include}_X Y_{contains,includes}_X
Y has X in it
    return self.X in self.Y

ask X:text Y:text
is_X_{longer_than,over}_Y X_longer_than_Y
X has more letters than Y
    return len(self.X) > len(self.Y)

read X:text Y:text
{longer_of,longest_of}_X_and_Y longer_X_or_Y
the longer of X and Y
    return max(self.X, self.Y, key=len)

change X:bool
{toggle,flip,invert,switch,negate,reverse}_X {switch,turn,flip}_X_{over,round}
turns X into its opposite -> the new value
    self.X = not self.X
    return self.X

change X:bool
{enable,activate,switch_on,turn_on,confirm,set,start,allow,check,mark,open}_X {turn,switch}_X_on make_X_true {mark,set}_X_{true,done}
makes X true -> the new value
    self.X = True
    return self.X

change X:bool
{disable,deactivate,switch_off,turn_off,unset,stop,reset,clear,forbid,uncheck,unmark,close}_X {turn,switch}_X_off make_X_false {mark,set}_X_false
makes X false -> the new value
    self.X = False
    return self.X

change X:bool flag:bool
{set,change,update,put,make}_X {set,change}_X_to
puts flag into X -> the new value
    self.X = flag
    return self.X

ask X:bool
is_X {is_it,are_they,has}_X is_X_{on,set,true,enabled,active} X_{is_on,is_set,on,enabled,is_true}
X is true
    return self.X

ask X:bool
is_not_X not_X {is_un}_X is_X_{off,false,disabled,unset,inactive} X_{is_off,off,disabled,is_false}
X is false
    return not self.X

ask X:bool Y:bool
{is,are,both}_X_and_Y {both_X_and_Y}
both X and Y are true
    return self.X and self.Y

ask X:bool Y:bool
{is,are,either}_X_or_Y any_of_X_and_Y
X or Y is true
    return self.X or self.Y

change X:date value:date
{set,change,update,move,put,replace,reschedule,shift}_X {set,change,move,reschedule}_X_to
puts value into X -> the new value
    self.X = value
    return self.X

read X:date
{year_of,year_in}_X X_year
the year of X
    return int(self.X[:4])

read X:date
{month_of,month_in}_X X_month
the month of X
    return int(self.X[5:7])

read X:date
{day_of,day_in,day_of_month_of}_X X_{day,day_of_month}
the day of X
    return int(self.X[8:10])

read X:date
{weekday_of,day_of_week_of,weekday_name_of,name_of_day_of}_X X_{weekday,day_of_week,weekday_name,day_name}
the name of the weekday of X
    when = datetime.date.fromisoformat(self.X)
    return ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'][when.weekday()]

change X:date days:int
{postpone,delay,defer,push_back,extend,put_off,prolong}_X {postpone,delay,defer,extend,prolong}_X_by {postpone,delay}_X_by_days {add_days_to,add_to}_X move_X_{forward,later} increase_X
puts X later by days -> the new value
    self.X = (datetime.date.fromisoformat(self.X) + datetime.timedelta(days=days)).isoformat()
    return self.X

change X:date days:int
{advance,bring_forward,hasten}_X {advance,bring_forward}_X_by subtract_days_from_X move_X_{earlier,back} decrease_X
puts X earlier by days -> the new value
    self.X = (datetime.date.fromisoformat(self.X) - datetime.timedelta(days=days)).isoformat()
    return self.X

read X:date days:int
X_{plus,plus_days,in_days,after_days,after} {postponed,delayed,extended}_X {days_after,date_after}_X
the date so many days after X
    return (datetime.date.fromisoformat(self.X) + datetime.timedelta(days=days)).isoformat()

read X:date days:int
X_{minus,minus_days,before_days} {days_before,date_before}_X
the date so many days before X
    return (datetime.date.fromisoformat(self.X) - datetime.timedelta(days=days)).isoformat()

read X:date date:date
{days_until,days_to}_X days_until_X_from X_{days_from} days_from_to_X {days_left_until,days_before}_X
how many days from date until X
    return (datetime.date.fromisoformat(self.X) - datetime.date.fromisoformat(date)).days

read X:date date:date
{days_since,days_after}_X days_since_X_{on,at} X_{age_on,days_ago,age_in_days} days_from_X_to days_passed_since_X
how many days from X until date
    return (datetime.date.fromisoformat(date) - datetime.date.fromisoformat(self.X)).days

read X:date
{day_after,next_day_after,following_day_of,next}_X X_{next_day,plus_one_day}
the day after X
    return (datetime.date.fromisoformat(self.X) + datetime.timedelta(days=1)).isoformat()

read X:date
{day_before,previous_day_of,previous}_X X_{previous_day,minus_one_day}
the day before X
    return (datetime.date.fromisoformat(self.X) - datetime.timedelta(days=1)).isoformat()

ask X:date date:date
is_X_{before,earlier_than,prior_to} X_{before,is_before} does_X_come_before {is_over,has_passed,expired}_X_{on,at} is_X_{over,past,expired,due}_{on,at,by}
X is before date
    return self.X < date

ask X:date date:date
is_X_{after,later_than,past} X_{after,is_after} does_X_come_after
X is after date
    return self.X > date

ask X:date date:date
is_X X_{equals,is} is_X_{on,equal_to,the_same_as}
X is date
    return self.X == date

ask X:date
is_X_{a_weekend,on_a_weekend,on_weekend,at_the_weekend} X_{is_weekend,on_weekend}
X is a Saturday or a Sunday
    return datetime.date.fromisoformat(self.X).weekday() >= 5

ask X:date
is_X_in_{a_leap_year,leap_year} X_in_leap_year
X is in a leap year
    return int(self.X[:4]) % 4 == 0 and (int(self.X[:4]) % 100 != 0 or int(self.X[:4]) % 400 == 0)

read X:date Y:date
days_{between,from}_X_{and,to}_Y {days_until,days_to}_Y_from_X {duration_from,time_from,length_from}_X_to_Y X_to_Y_{days,duration,in_days} days_X_to_Y
how many days from X to Y
    return (datetime.date.fromisoformat(self.Y) - datetime.date.fromisoformat(self.X)).days

ask X:date Y:date
is_X_{before,earlier_than}_Y X_{before,is_before}_Y does_X_come_before_Y
X is before Y
    return self.X < self.Y

ask X:date Y:date
is_X_{after,later_than}_Y X_{after,is_after}_Y does_X_come_after_Y
X is after Y
    return self.X > self.Y

read X:date Y:date
{earlier_of,earliest_of,first_of}_X_and_Y earlier_X_or_Y
the earlier of X and Y
    return min(self.X, self.Y)

read X:date Y:date
{later_of,latest_of,last_of}_X_and_Y later_X_or_Y
the later of X and Y
    return max(self.X, self.Y)

change X:none value:any
{set,assign,put,change,update,make,store,give,fill}_X {set,change}_X_to
puts value into X -> the new value
    self.X = value
    return self.X

ask X:none
is_X_{missing,unset,none,empty,nothing} {has_no,no}_X X_{is_missing,missing,is_none}
there is no X
    return self.X is None

ask X:none
{has,is_there}_X is_X_{set,given,there,present,known} X_{is_set,given,present,known}
there is an X
    return self.X is not None
"""
